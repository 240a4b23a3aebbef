"""What Prometheus is told of a partition, read from its state and its log."""
