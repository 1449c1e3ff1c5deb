"""What of a plan can be drawn, in which order: bad ones first, so that the best lies on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates
from distilldrive_ros.visualization.colors import INVALID, Color, ScoreScale


@dataclass(frozen=True)
class DrawnCandidate:
    """A candidate ready to be drawn.

    `index`: place in the plan; `line` (n, 2): finite points in metres from the vehicle's origin on, n >= 2;
    `fraction`: place on the score scale (0 to 1); `selected`: it is the plan's choice.
    """

    index: int
    candidate: Candidate
    line: NDArray[np.float64]
    color: Color
    fraction: float
    valid: bool
    selected: bool


def drawing_order(plan: PlanCandidates) -> list[DrawnCandidate]:
    """Drawable candidates: invalid ones, then valid ones by rising score, then the selected one.

    A line ends before its first point that is not finite; a candidate without any finite point is left out.
    """
    scale = ScoreScale.of_plan(plan)
    drawn = []
    for index, candidate in enumerate(plan.candidates):
        line = _finite_line(candidate.positions)
        if len(line) < 2:
            continue
        valid = not candidate.invalid_reasons
        fraction = scale.fraction(candidate.score) if valid else 0.0
        color = scale.color(candidate.score) if valid else INVALID
        drawn.append(DrawnCandidate(index, candidate, line, color, fraction, valid, index == plan.selected))
    return sorted(drawn, key=lambda d: (d.selected, d.valid, d.fraction))


def reason_words(reasons: InvalidReason) -> str:
    """The reasons in words, for instance `collision, offroad`."""
    return ", ".join(str(r.name).lower().replace("_", " ") for r in InvalidReason if r and r in reasons)


def _finite_line(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    points = np.asarray(positions, np.float64)
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    finite = points[: bad[0]] if len(bad) else points
    return np.concatenate([np.zeros((1, 2)), finite])
