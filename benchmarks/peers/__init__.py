"""The same work done by streamsched and by what one would take instead: ``python -m benchmarks.peers``."""
