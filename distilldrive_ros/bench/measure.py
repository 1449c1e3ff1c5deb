"""What a benchmark yields: named values with their units, and the target a value is held against."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Measurement:
    """One value. `target` None: there is nothing to hold it against; else `better` says on which side it is met."""

    name: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no measurement.

        Raises:
            ValueError: the value is not finite.
        """
        if not math.isfinite(self.value):
            raise ValueError(f"{self.name} is {self.value}")

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target. For reading, never for passing a test: times vary."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


@dataclass(frozen=True)
class Spread:
    """Median, 99th percentile and mean of a sample, in the unit of the sample."""

    median: float
    p99: float
    mean: float
    count: int

    @staticmethod
    def of(values: ArrayLike) -> Spread:
        """Of a sample with at least one value."""
        v = np.asarray(values, np.float64)
        return Spread(float(np.median(v)), float(np.percentile(v, 99)), float(v.mean()), v.size)


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def paired_ratio(first: Iterable[float], second: Iterable[float]) -> float:
    """Median of the ratios first / second of runs taken in turns: what slows the machine down slows both."""
    return float(np.median([a / b for a, b in zip(first, second, strict=True)]))
