"""Reads the live log of a partition."""
