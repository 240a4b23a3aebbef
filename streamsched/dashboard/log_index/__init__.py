"""The index of a history, and what is counted and found with it."""
