"""The shape of the house: packaging, documents, imports, sizes."""
