"""What learns: small networks whose layers stack over replicas."""
