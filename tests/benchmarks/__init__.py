"""Tests of ``streamsched.benchmarks``."""
