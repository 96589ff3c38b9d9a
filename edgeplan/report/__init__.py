"""Pages that explain themselves: fronts, plans, runs, simulations, sweeps."""
