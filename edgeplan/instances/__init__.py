"""Files in and out: read, write, schema, catalogue, generators, bundled instances."""
