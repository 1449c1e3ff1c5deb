"""Means over windows, with their counts, under the short names of the papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.evaluation.navsim.closed_loop import Window

PDMS_NAMES = {
    "NC": "no_at_fault_collision",
    "DAC": "drivable_area",
    "DDC": "driving_direction",
    "EP": "ego_progress",
    "TTC": "time_to_collision",
    "C": "comfort",
    "PDMS": "score",
}
EPDMS_NAMES = {
    "NC": "no_at_fault_collision",
    "DAC": "drivable_area",
    "DDC": "driving_direction",
    "TLC": "traffic_light",
    "EP": "ego_progress",
    "TTC": "time_to_collision",
    "LK": "lane_keeping",
    "HC": "history_comfort",
    "EC": "extended_comfort",
    "EPDMS": "score",
}


@dataclass(frozen=True)
class Row:
    """One driver: means in [0, 1] by short name, over `windows`; `without_plan`: windows that could not be scored.

    `EC` is over the windows that have a plan before, and absent where there is none.
    """

    planner: str
    agents: str
    windows: int
    without_plan: int
    pdms: dict[str, float]
    epdms: dict[str, float]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return dict(vars(self))


def summarise_windows(planner: str, agents: str, windows: Sequence[Window], without_plan: int = 0) -> Row:
    """The row of a table; without windows its means are empty."""
    pdms = {short: _mean([getattr(w.pdms, name)[1] for w in windows]) for short, name in PDMS_NAMES.items()}
    epdms = {
        short: _mean([scores[1] for w in windows if (scores := getattr(w.epdms, name)) is not None])
        for short, name in EPDMS_NAMES.items()
    }
    return Row(planner, agents, len(windows), without_plan, _known(pdms), _known(epdms))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _known(means: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in means.items() if value is not None}
