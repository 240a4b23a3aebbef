"""Tests of the source tree itself: packaging, documents, imports, sizes."""
