"""Parameters of the node `visualizer`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.models.distilldrive.config import NUSCENES_CAMERAS
from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter


@dataclass(frozen=True)
class VisualizerConfiguration:
    """What is drawn, and how much it may cost."""

    cameras: tuple[str, ...] = parameter(
        NUSCENES_CAMERAS, "cameras that get overlay topics; drawn only while somebody subscribes", read_only=True
    )
    queue_size: int = parameter(
        10, "sets that wait for their missing message: plan, objects, map or images", low=1, high=100, read_only=True
    )
    marker_lifetime: float = parameter(
        1.0, "RViz drops markers after that time; about two periods of the plan; 0: never", unit="s", low=0.0, high=60.0
    )
    z_offset: float = parameter(
        0.1, "height of lines above the ground, so that they do not fight with it", unit="m", low=0.0, high=5.0
    )
    min_object_score: float = parameter(0.25, "objects below that score are not drawn", low=0.0, high=1.0)
    min_map_score: float = parameter(0.3, "map elements below that score are not drawn", low=0.0, high=1.0)
    show_invalid: bool = parameter(True, "draw invalid candidates in grey")
    show_ground_truth: bool = parameter(True, "draw the ground truth of a bag where it has one")
    overlay_width: int = parameter(800, "width of the overlay pictures", unit="px", low=64, high=4096)
    overlay_jpeg_quality: int = parameter(80, "quality of the compressed overlays", low=1, high=95)
    overlay_max_rate: float = parameter(
        10.0, "at most so many sets of overlays per second, which leaves the processor to the planner; 0: all",
        unit="Hz", low=0.0, high=100.0,
    )  # fmt: skip


TABLE = ParameterTable("visualizer", VisualizerConfiguration)
