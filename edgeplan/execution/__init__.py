"""Splits networks as a plan says, runs the parts in workers, and compares with the prediction."""
