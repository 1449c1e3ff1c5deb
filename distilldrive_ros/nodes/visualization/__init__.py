"""Node `visualizer`: markers for RViz and overlays on the cameras' pictures."""
