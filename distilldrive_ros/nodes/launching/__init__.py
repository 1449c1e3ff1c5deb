"""Which programs a graph consists of, and how they are started, supervised, or composed in one process."""
