"""Reads log and archive as one sequence, and tells the story of a job, a node or a decision from it."""
