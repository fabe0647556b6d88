"""The router as the inventory describes it: its configuration, its keys, and what is wrong with them.

Pure, and apart from ``tandem.router``, which needs more than the standard library.
"""
