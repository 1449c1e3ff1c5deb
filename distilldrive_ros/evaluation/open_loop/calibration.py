"""Do scores mean what they say? How often the candidate with a given score was the nearest to the way driven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distilldrive_ros.evaluation.open_loop.planning import SampleScore

BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Candidates whose score lies in [low, high): how many, their mean score, and the share that was the nearest."""

    low: float
    high: float
    candidates: int
    mean_score: float
    nearest_share: float


@dataclass(frozen=True)
class Calibration:
    """Reliability of the scores over key frames with at least two candidates.

    `expected_error`: mean |score - share| weighted by candidates (ECE), NaN where nothing counts. `top_is_nearest`:
    share of the `key_frames` whose best-scored candidate was the nearest. `left_out`: key frames with fewer than two
    candidates or with scores outside 0 to 1, which are no probabilities.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float
    top_is_nearest: float
    key_frames: int
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes null."""
        shares = {"expected_calibration_error": self.expected_error, "top_is_nearest": self.top_is_nearest}
        return {
            **{name: value if np.isfinite(value) else None for name, value in shares.items()},
            "key_frames": self.key_frames,
            "left_out": self.left_out,
            "bins": [vars(b) for b in self.bins],
        }


def calibration(scores: Sequence[SampleScore]) -> Calibration:
    """Of all scored key frames."""
    used = [s for s in scores if len(s.mode_scores) > 1 and ((s.mode_scores >= 0) & (s.mode_scores <= 1)).all()]
    if not used:
        return Calibration((), float("nan"), float("nan"), 0, len(scores))
    values = np.concatenate([s.mode_scores for s in used])
    nearest = np.concatenate([np.arange(len(s.mode_scores)) == s.best_mode for s in used])
    index = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    bins = tuple(
        CalibrationBin(b / BINS, (b + 1) / BINS, int(here.sum()), float(values[here].mean()),
                       float(nearest[here].mean()))
        for b in range(BINS)
        if (here := index == b).any()
    )  # fmt: skip
    error = sum(b.candidates * abs(b.mean_score - b.nearest_share) for b in bins) / len(values)
    top = float(np.mean([int(s.mode_scores.argmax()) == s.best_mode for s in used]))
    return Calibration(bins, float(error), top, len(used), len(scores) - len(used))
