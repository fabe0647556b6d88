"""Tandem: one language model served from several linked machines."""

__version__ = "0.1.0"
