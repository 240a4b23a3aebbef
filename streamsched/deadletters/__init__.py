"""Lists dead letters of the log or the archive, and retries or drops them."""
