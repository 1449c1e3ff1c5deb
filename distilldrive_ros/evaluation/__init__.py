"""Scores of plans and reports on them. Knows bags and data sets, no rclpy and no torch."""
