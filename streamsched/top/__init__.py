"""The overview of a partition in a terminal: another face of what the dashboard reads."""
