"""RDMA devices, and what perftest says about the way between two of them."""
