"""Recorded data: rosbag2 files in MCAP, their writing, their reading in time order, and nuScenes as bags. No rclpy."""
