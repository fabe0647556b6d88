"""The fabric gate: which pairs are measured with what, and what the measurements mean."""
