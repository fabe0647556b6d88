"""Python programs for nodes: downloaded once on the control node, installed from there without an index."""
