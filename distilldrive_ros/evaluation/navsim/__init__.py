"""Recorded scenes as worlds of `planning.pdm`, and planners driven through them in pseudo closed loop."""
