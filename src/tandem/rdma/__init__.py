"""RDMA of a node: its devices, Soft-RoCE, and what NCCL must be told about them."""
