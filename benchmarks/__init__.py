"""What streamsched costs, as ratios within one run on one server core: ``python -m benchmarks``."""
