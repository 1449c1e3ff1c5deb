"""Open-loop metrics of plans and predictions on nuScenes-like key frames (DistillDrive spec 11)."""
