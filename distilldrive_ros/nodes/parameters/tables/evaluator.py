"""Parameters of the node `evaluator`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter
from distilldrive_ros.nodes.parameters.tables.repeated import diagnostics_period


@dataclass(frozen=True)
class EvaluatorConfiguration:
    """Where the results go, and how often they are said."""

    output: str = parameter(
        "", "JSON file, written when the node ends; empty: the results are on /diagnostics only", read_only=True
    )
    page: str = parameter(
        "", "HTML file with tables and worst cases, written when the node ends; empty: none", read_only=True
    )
    lidar_frame: str = parameter(
        "LIDAR_TOP", "frame of the LiDAR whose way published results are of; looked up on /tf_static", read_only=True
    )
    bootstrap_seed: int = parameter(
        0, "draws the scenes of the confidence intervals", low=0, high=2**31 - 1, read_only=True
    )
    diagnostics_period_s: float = diagnostics_period()


TABLE = ParameterTable("evaluator", EvaluatorConfiguration)
