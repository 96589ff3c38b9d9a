"""The words of the project as frozen types, the price of a plan, and the formulation."""
