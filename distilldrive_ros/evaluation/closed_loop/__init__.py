"""Closed-loop drives through worlds: scored, compared, drawn. The drives themselves are made by `worlds.driving`."""
