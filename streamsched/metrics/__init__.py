"""Metrics of a partition for Prometheus, read from its state and its log."""
