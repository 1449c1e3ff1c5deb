"""What a candidate may demand of the vehicle before the planner calls it invalid."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from distilldrive_ros.scene.errors import ConfigurationError


@dataclass(frozen=True)
class PlanningLimits:
    """Defaults are well beyond comfortable driving and within what a car can do: they catch nonsense, not style.

    `max_speed` m/s, `max_acceleration` and `max_lateral_acceleration` m/s^2, `max_start_jump` m: how far the first
    point may lie from where the present speed leads.
    """

    max_speed: float = 45.0
    max_acceleration: float = 9.8
    max_lateral_acceleration: float = 9.8
    max_start_jump: float = 5.0

    def __post_init__(self) -> None:
        """Refuse wrong values.

        Raises:
            ConfigurationError: a limit is not a positive finite number.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"planning limit {item.name} = {value} must be a positive number")
