"""Reading which sockets listen on a node and which unit owns them."""
