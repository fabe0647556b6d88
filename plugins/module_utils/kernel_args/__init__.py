"""Kernel arguments of all boot entries, and of those to come."""
