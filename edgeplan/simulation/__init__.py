"""A plan under random arrivals: the third witness, beside the program and the evaluator."""
