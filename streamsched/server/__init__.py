"""Servers that a program starts for itself."""
