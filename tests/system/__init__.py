"""The whole system on real servers: durability, failover, replicas."""
