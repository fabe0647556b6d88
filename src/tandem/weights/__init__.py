"""Checksums of a model directory: write a manifest once, verify it on every node before each start."""
