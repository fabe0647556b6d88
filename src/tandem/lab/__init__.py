"""What the lab needs beside its nodes: a small real model whose heads divide by two."""
