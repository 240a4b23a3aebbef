"""The generated documents, one module for each."""
