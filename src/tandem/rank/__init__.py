"""One rank of an engine on this node, and with its peers' supervisors the whole group as one thing."""
