"""What must be the same on the nodes of an engine and at the ends of a link."""
