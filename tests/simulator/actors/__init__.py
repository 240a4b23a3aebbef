"""The actors of a run: producers, nodes, workers, an operator, an archiver, and sources behind an ingress."""
