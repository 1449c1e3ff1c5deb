"""The package's own messages from the dataclasses of `scene/` and back, for every library of message classes.

What fills a message takes a `MessageFactory`: of rclpy's classes in a graph, of `rosbags`' where there is no ROS. What
reads one takes any object with the fields of its definition. Knows no ROS.
"""
