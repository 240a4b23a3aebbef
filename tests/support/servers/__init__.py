"""Real servers in the setups of tests: TLS, ACL users, a cluster, sentinels, a partitioned network, a cut AOF."""
