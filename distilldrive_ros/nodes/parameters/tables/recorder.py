"""Parameters of the node `recorder`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter
from distilldrive_ros.nodes.parameters.tables.repeated import diagnostics_period, reliability


@dataclass(frozen=True)
class RecorderConfiguration:
    """What is kept of the graph's results, where, and when it is enough."""

    output: str = parameter(
        "", "bag to write: a name that ends in .mcap gives that one file, any other a rosbag2 folder", read_only=True
    )
    overwrite: bool = parameter(False, "replace a bag that is there already", read_only=True)
    markers: bool = parameter(False, "keep the visualizer's markers, too", read_only=True)
    anchor_topic: str = parameter(
        "lidar/points",
        "PointCloud2 topic of the anchor sensor, listened to for the age of plans only; empty: ages are not measured",
        read_only=True,
    )
    anchor_reliability: str = reliability("the subscription of anchor_topic asks for")
    max_plans: int = parameter(0, "end after so many plans; 0: no limit", low=0, high=2**31 - 1, read_only=True)
    idle_timeout: float = parameter(
        0.0, "end when nothing came for so long after the first plan; 0: never", unit="s", low=0.0, high=86400.0,
        read_only=True,
    )  # fmt: skip
    diagnostics_period_s: float = diagnostics_period()


TABLE = ParameterTable("recorder", RecorderConfiguration)
