"""Problem in, result out: exact methods, baselines and their registry."""
