"""Reads log and archive as one sequence, and derives the story of a job, a node or a decision from it."""
