"""Server processes that a program starts for itself."""
