"""A small made-up drive in the nuScenes v1.0 schema: road, traffic, six painted cameras and a ray-cast LiDAR."""
