"""The overview of a partition in a terminal, from the same data as the dashboard."""
