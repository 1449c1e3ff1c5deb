"""Drives through generated worlds as data set roots in the nuScenes v1.0 schema."""
