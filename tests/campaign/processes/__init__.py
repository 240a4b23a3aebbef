"""Programs of their own that a run starts: nodes, producers, and the product with a fault inside."""
