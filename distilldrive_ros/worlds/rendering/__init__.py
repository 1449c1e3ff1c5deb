"""Cameras and LiDAR of a driving world, drawn by Panda3D without a screen."""
