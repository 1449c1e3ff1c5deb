"""A rule-based driver that knows the true state of the world."""
