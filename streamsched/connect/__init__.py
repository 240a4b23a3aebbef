"""Connections to a server: URLs, sentinels, clusters, TLS, and waiting while the server is away."""
