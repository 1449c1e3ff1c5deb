"""Nodes `perception_planning` and `planner`: sets in, candidates, road users and map out; then checked plans."""
