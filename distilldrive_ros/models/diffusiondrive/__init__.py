"""DiffusionDrive v1 and V2: a camera and LiDAR planner that denoises anchored trajectories and selects one."""
