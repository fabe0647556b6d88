"""Several configuration files at once."""
