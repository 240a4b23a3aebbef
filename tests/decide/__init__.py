"""Which node gets which job."""
