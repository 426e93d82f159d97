"""How it learns: one loop for an ensemble of replicas."""
