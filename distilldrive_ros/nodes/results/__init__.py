"""Nodes that keep what the graph made: `recorder` as a bag, `evaluator` as metrics."""
