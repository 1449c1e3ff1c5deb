"""The graph: everything that needs rclpy and message classes.

`sensing`, `planning`, `visualization`, `playing` and `results` hold the nodes and what only they use. All of them stand
on `running` (start, end, health), `parameters` (tables) and `conversions` (messages); `launching` starts them, and
`compat` stands in for ROS packages that pip has not. `documentation.py` writes the generated parts of the README.
"""
