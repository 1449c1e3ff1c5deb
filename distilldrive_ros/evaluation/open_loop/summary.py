"""Means over key frames in the two published conventions, with confidence intervals over scenes.

`stp3_vad`: the value at a horizon is the mean over all steps up to it (ST-P3, VAD, SparseDrive, DistillDrive).
`uniad`: the value at a horizon is that of its step alone. `avg` is the mean of the values at 1, 2 and 3 s in both.
The two differ by a factor of about two for the same plans: never compare across them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.evaluation.open_loop.planning import STEP_S, STEPS, SampleScore, Unscored
from distilldrive_ros.scene.command import Command

Array = NDArray[np.float64]

HORIZONS_S = (1.0, 2.0, 3.0)
CONVENTIONS = ("stp3_vad", "uniad")
RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over `count` key frames with its 95 % interval by bootstrap over scenes (NaN for fewer than two)."""

    mean: float
    low: float
    high: float
    count: int

    def to_json(self) -> dict[str, float | int | None]:
        """Plain values; NaN becomes null."""
        shown = {"mean": self.mean, "ci95_low": self.low, "ci95_high": self.high}
        return {**{k: v if np.isfinite(v) else None for k, v in shown.items()}, "samples": self.count}


@dataclass(frozen=True)
class OpenLoopSummary:
    """Results of one model.

    `tables`: convention, then metric (`l2_m`, `collision`, `collision_grid`: rates 0 to 1), then horizon (`1s`, `2s`,
    `3s`, `avg`). `by_command`: the same for the key frames of one command. `modes`: `min_ade_m`, `min_fde_m`,
    `diversity_m`. `unscored`: how many key frames have no score and why. `truth_collisions`: steps not counted.
    """

    key_frames: int
    scored: int
    scenes: int
    tables: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    by_command: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Estimate]]]]
    modes: Mapping[str, Estimate]
    unscored: Mapping[Unscored, int]
    truth_collisions: int
    grid_truth_collisions: int
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain values; every block carries its counts."""

        def plain(table: Any) -> Any:
            if isinstance(table, Estimate):
                return table.to_json()
            return {key: plain(value) for key, value in table.items()}

        return {
            "key_frames": self.key_frames,
            "scored": self.scored,
            "scenes": self.scenes,
            "unscored": {reason.name.lower(): count for reason, count in self.unscored.items()},
            "steps_not_counted_because_the_truth_collides": {
                "polygon": self.truth_collisions, "grid": self.grid_truth_collisions,
            },
            "planning": plain(self.tables),
            "by_command": plain(self.by_command),
            "modes": plain(self.modes),
            "notes": list(self.notes),
        }  # fmt: skip


def summarise(
    scores: Sequence[SampleScore],
    unscored: Mapping[Unscored, int] | None = None,
    generator: np.random.Generator | None = None,
    notes: Sequence[str] = (),
) -> OpenLoopSummary:
    """Means and intervals.

    Args:
        scores: of all key frames that have one.
        unscored: how many have none, by reason.
        generator: draws the scenes of the bootstrap; a fresh one of seed 0 by default, so that results repeat.
        notes: what a reader must know beside the numbers.
    """
    draws = generator or np.random.default_rng(0)
    missing = Counter(unscored or {})
    rows = _rows(scores)
    scenes = np.array([s.scene for s in scores], np.str_)
    commands = np.array([int(s.command) for s in scores], np.int64)
    by_command = {
        command.name.lower(): _tables(rows[chosen], scenes[chosen], draws)
        for command in (Command.RIGHT, Command.LEFT, Command.STRAIGHT)
        if (chosen := commands == command).any()
    }
    extra = np.array([(s.min_ade, s.min_fde, s.diversity) for s in scores], np.float64).reshape(-1, 3)
    return OpenLoopSummary(
        key_frames=len(scores) + sum(missing.values()),
        scored=len(scores),
        scenes=len(set(scenes.tolist())),
        tables=_tables(rows, scenes, draws),
        by_command=by_command,
        modes={
            name: _estimates(extra[:, i : i + 1], scenes, draws)[0]
            for i, name in enumerate(("min_ade_m", "min_fde_m", "diversity_m"))
        },
        unscored={reason: missing[reason] for reason in Unscored if missing[reason]},
        truth_collisions=int(sum(s.truth_hits.sum() for s in scores)),
        grid_truth_collisions=int(sum(s.grid_truth_hits.sum() for s in scores)),
        notes=tuple(notes),
    )


def _rows(scores: Sequence[SampleScore]) -> Array:
    """(S, 3, 6): L2, polygon and grid collisions by step."""
    return np.array([(s.l2, s.hits, s.grid_hits) for s in scores], np.float64).reshape(-1, 3, STEPS)


def horizon_values(rows: Array, convention: str) -> Array:
    """Values (..., 4) at 1, 2, 3 s and their mean, of values by step (..., 6).

    Raises:
        ValueError: an unknown convention.
    """
    ends = [round(h / STEP_S) for h in HORIZONS_S]
    if convention == "stp3_vad":
        values = np.stack([rows[..., :end].mean(axis=-1) for end in ends], axis=-1)
    elif convention == "uniad":
        values = rows[..., [end - 1 for end in ends]]
    else:
        raise ValueError(f"convention {convention!r} is none of {', '.join(CONVENTIONS)}")
    return np.concatenate([values, values.mean(axis=-1, keepdims=True)], axis=-1)


def _tables(rows: Array, scenes: NDArray[np.str_], draws: np.random.Generator) -> dict[str, Any]:
    names = [*(f"{h:g}s" for h in HORIZONS_S), "avg"]
    tables: dict[str, Any] = {}
    for convention in CONVENTIONS:
        columns = horizon_values(rows, convention).reshape(len(rows), 3 * len(names))
        found = iter(_estimates(columns, scenes, draws))
        metrics = ("l2_m", "collision", "collision_grid")
        tables[convention] = {metric: {name: next(found) for name in names} for metric in metrics}
    return tables


def _estimates(columns: Array, scenes: NDArray[np.str_], draws: np.random.Generator) -> list[Estimate]:
    """One estimate per column of (S, C); NaN values are left out and not counted."""
    known = np.isfinite(columns)
    values = np.where(known, columns, 0.0)
    unique, group = np.unique(scenes, return_inverse=True)
    sums, counts = (np.zeros((len(unique), columns.shape[1])) for _ in range(2))
    np.add.at(sums, group, values)
    np.add.at(counts, group, known)
    total = counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums.sum(axis=0) / total
        low, high = (np.full(columns.shape[1], np.nan) for _ in range(2))
        if len(unique) >= 2:
            weights = draws.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), RESAMPLES)
            resampled = (weights @ sums) / (weights @ counts)
            tail = (1 - CONFIDENCE) / 2
            some = total > 0
            if some.any():
                low[some], high[some] = np.nanquantile(resampled[:, some], [tail, 1 - tail], axis=0)
    return [Estimate(float(m), float(a), float(b), int(n)) for m, a, b, n in zip(means, low, high, total, strict=True)]
