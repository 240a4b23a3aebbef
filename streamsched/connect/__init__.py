"""One way to a server: URLs, sentinels, clusters, TLS, and what to do while it is away."""
