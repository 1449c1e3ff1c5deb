"""From a candidate's sparse relative poses to reference poses every 0.1 s (spec 7.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.world import EGO_STATES, TIME_STEP_S, EgoStart

Array = NDArray[np.float64]


def reference_poses(candidates: ArrayLike, ego: EgoStart, time_step: float = 0.5) -> Array:
    """Poses (P, 41, 3) in the world's frame every 0.1 s for 4 s, the first the ego's own.

    Args:
        candidates: poses (P, N, 3) x, y, heading of the rear axle, relative to the ego's present pose (x forward), pose
            i at (i + 1) * time_step.
        ego: present pose.
        time_step: seconds between two poses.

    Raises:
        ScoringError: wrong shape, not finite, or shorter than 4 s.
    """
    relative = np.asarray(candidates, np.float64)
    if relative.ndim != 3 or relative.shape[2] != 3 or not relative.shape[0]:
        raise ScoringError(f"candidates have shape {relative.shape}, expected (candidates, poses, 3)")
    if not np.isfinite(relative).all():
        bad = int(np.flatnonzero(~np.isfinite(relative).all(axis=(1, 2)))[0])
        raise ScoringError(f"candidate {bad} holds a pose that is not finite; leave it out")
    horizon = (EGO_STATES - 1) * TIME_STEP_S
    if relative.shape[1] * time_step < horizon - 1e-6:
        raise ScoringError(
            f"candidates end after {relative.shape[1] * time_step:.1f} s, NAVSIM scores {horizon:.0f} s; "
            "take a model with a longer horizon or extend them"
        )
    c, s = np.cos(ego.heading), np.sin(ego.heading)
    x = ego.x + c * relative[..., 0] - s * relative[..., 1]
    y = ego.y + s * relative[..., 0] + c * relative[..., 1]
    own = np.broadcast_to([ego.x, ego.y, ego.heading], (len(relative), 1, 3))
    knots = np.concatenate([own, np.stack([x, y, wrap(ego.heading + relative[..., 2])], axis=-1)], axis=1)
    knots[..., 2] = np.unwrap(knots[..., 2], axis=1)
    times = np.arange(EGO_STATES) * TIME_STEP_S
    before = np.minimum((times / time_step + 1e-9).astype(int), knots.shape[1] - 2)
    fraction = (times / time_step - before)[:, None]
    out = knots[:, before] * (1 - fraction) + knots[:, before + 1] * fraction
    out[..., 2] = wrap(out[..., 2])
    return np.asarray(out)
