"""Stories: what producers, nodes, operators, workers and the clock do to a partition, drawn by hypothesis."""
