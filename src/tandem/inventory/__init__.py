"""Does the description of a cluster make sense? Pure checks, made before any host is touched."""
