"""Modules of Tandem: thin adapters over module_utils."""
