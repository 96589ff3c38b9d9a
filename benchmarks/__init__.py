"""Benchmarks: each asserts the known answer while it times, as ratios within one run."""
