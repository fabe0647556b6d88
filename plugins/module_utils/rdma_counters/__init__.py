"""The counters of RDMA ports: what proves that traffic went over RDMA."""
