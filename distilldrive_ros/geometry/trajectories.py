"""Headings, speeds and lengths of sampled trajectories."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def headings(points: ArrayLike, standstill: float = 1e-2, initial: float = 0.0) -> Array:
    """Heading (..., T), radians, of trajectories (..., T, 2) that start at the origin with heading `initial`.

    The heading of a point is the direction of the segment that ends there. Segments shorter than `standstill` metres
    have no direction of their own and keep the heading before them: equal points give no NaN and no noise.
    """
    p = np.asarray(points, np.float64)
    before = np.concatenate([np.zeros_like(p[..., :1, :]), p[..., :-1, :]], axis=-2)
    delta = p - before
    length = np.linalg.norm(delta, axis=-1)
    raw = np.arctan2(delta[..., 1], delta[..., 0])
    moving = length >= standstill
    out = np.empty_like(raw)
    last = np.full(raw.shape[:-1], float(initial))
    for step in range(raw.shape[-1]):
        last = np.where(moving[..., step], raw[..., step], last)
        out[..., step] = last
    return out


def speeds(points: ArrayLike, time_step: float) -> Array:
    """Mean speed (..., T), m/s, over the segment that ends at each point of trajectories (..., T, 2).

    Trajectories start at the origin; points are `time_step` seconds apart.
    """
    p = np.asarray(points, np.float64)
    before = np.concatenate([np.zeros_like(p[..., :1, :]), p[..., :-1, :]], axis=-2)
    return np.asarray(np.linalg.norm(p - before, axis=-1) / time_step)


def resample_polyline(points: ArrayLike, count: int) -> Array:
    """`count` points (count, 2) at equal distances along a polyline (N, 2), ends included."""
    p = np.asarray(points, np.float64)
    steps = np.linalg.norm(np.diff(p, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(wanted, along, p[:, axis]) for axis in range(p.shape[1])], axis=-1)
