"""Where streamsched runs: servers, systems and installs that have less than the one it was written on."""
