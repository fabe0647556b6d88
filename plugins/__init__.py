"""Ansible plugins of Tandem."""
