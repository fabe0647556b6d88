"""Latency and bandwidth of links without RDMA, as ping and iperf3 measure them."""
