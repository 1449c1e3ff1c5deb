"""A scene that is to be made; knows no engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distilldrive_ros.worlds.dataset.schedule import SensorRates
from distilldrive_ros.worlds.scenarios.scenario import ScenarioKind


@dataclass(frozen=True)
class SceneJob:
    """A scene to be made: its name, number and split, where it is built, and what decides its content."""

    name: str
    number: int
    split: str
    seed: int
    salt: str
    staging: Path
    width: int
    duration_s: float
    rates: SensorRates
    kinds: tuple[ScenarioKind, ...]

    def __str__(self) -> str:
        """For messages."""
        return self.name
