"""The dashboard: one page that shows a partition as it is, or as it was at any moment of its history."""
