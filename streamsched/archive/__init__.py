"""Keeps the log on disk as a chain of Parquet segments, and reads it back."""
