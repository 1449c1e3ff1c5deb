"""A small network that sees the vehicle's own motion and the command, nothing else: what open-loop numbers reward."""
