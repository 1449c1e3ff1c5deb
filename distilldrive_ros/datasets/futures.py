"""What objects do next: positions at exact time steps from annotations at true, uneven stamps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The networks' motion horizon (DistillDrive spec 2.5): 12 points at 2 Hz.
FUTURE_STEPS = 12
FUTURE_STEP_S = 0.5
# Longest time between two annotations of a track that still says how the object moved, s (nuScenes: box_velocity).
MAX_TIME_DIFF_S = 1.5
# The last annotation may lie this much before a step and still serve it, s: stamps are rounded to microseconds.
END_TOLERANCE_S = 1e-3


def track_futures(
    tracks: NDArray[np.int64],
    stamps_ns: NDArray[np.int64],
    positions: NDArray[np.float64],
    steps: int = FUTURE_STEPS,
    time_step_s: float = FUTURE_STEP_S,
) -> NDArray[np.float64]:
    """Futures (N, steps, D) of N annotations: linear between annotations of the same track, at exact steps.

    Point i is `(i + 1) * time_step_s` after the annotation. NaN beyond the end of the track, and inside a gap between
    annotations of more than `MAX_TIME_DIFF_S`.

    Args:
        tracks: (N,) number of the track that each annotation belongs to.
        stamps_ns: (N,).
        positions: (N, D) in metres.
        steps: number of points.
        time_step_s: seconds between points.
    """
    if len(tracks) == 0:
        return np.zeros((0, steps, positions.shape[1]))
    order = np.lexsort((stamps_ns, tracks))
    _, number = np.unique(tracks[order], return_inverse=True)
    seconds = (stamps_ns[order] - stamps_ns.min()) / 1e9
    # One time axis for all: each track has its own stretch, longer than any future, so one interpolation serves all.
    stretch = seconds.max() + (steps + 1) * time_step_s + 1.0
    have = seconds + number * stretch
    want = have[:, None] + np.arange(1, steps + 1) * time_step_s

    last_of_track = np.append(number[1:] != number[:-1], True)
    track_end = have[last_of_track][number]
    after = np.clip(np.searchsorted(have, want - END_TOLERANCE_S), 1, max(1, len(have) - 1))
    gap = have[np.minimum(after, len(have) - 1)] - have[after - 1] > MAX_TIME_DIFF_S
    unknown = (want > track_end[:, None] + END_TOLERANCE_S) | gap

    inside = np.minimum(want, track_end[:, None])
    future = np.stack([np.interp(inside, have, axis) for axis in positions[order].T], axis=-1)
    future[unknown] = np.nan
    out = np.empty_like(future)
    out[order] = future
    return out
