"""Asking a vLLM endpoint what it serves and whether it generates."""
