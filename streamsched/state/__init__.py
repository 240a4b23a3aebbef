"""Reads the folded state of a partition: typed, read-only views."""
