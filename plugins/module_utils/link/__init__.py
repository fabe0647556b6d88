"""NetworkManager profiles of links between nodes."""
