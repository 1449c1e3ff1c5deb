"""Nodes that play sensors into the graph: `replay` from a bag, `simulator` from a world in closed loop."""
