"""What tests share: servers, processes, drivers and proxies."""
