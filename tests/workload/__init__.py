"""Tests of ``streamsched.workload``."""
