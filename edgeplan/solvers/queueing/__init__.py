"""The exact solver for problems under load: queues, replicas, batches."""
