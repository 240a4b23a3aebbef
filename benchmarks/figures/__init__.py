"""What streamsched costs, one figure or one family of figures a module. Each has ``measure``."""
