"""Lists dead letters, in the log or archived, and retries or drops them."""
