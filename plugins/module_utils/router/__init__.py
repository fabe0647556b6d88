"""Reading the state of a Ray cluster."""
