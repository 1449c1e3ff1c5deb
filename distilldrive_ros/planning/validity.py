"""Which candidates can be driven at all: finite, starting at the vehicle, within its dynamics.

A failed check marks the candidate; nothing is repaired, so that nobody drives a plan that no model made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.scene.candidates import InvalidReason, TrajectoryCandidates


def check_candidates(
    candidates: TrajectoryCandidates, limits: PlanningLimits, speed: float | None
) -> NDArray[np.uint16]:
    """`InvalidReason` bits (N,) of every candidate. `speed`: present forward speed in m/s, None where unknown."""
    xy = np.stack([candidates.x, candidates.y], axis=-1).astype(np.float64)
    reasons = np.zeros(candidates.num_candidates, np.uint16)
    finite = np.isfinite(xy).all(axis=(1, 2)) & np.isfinite(candidates.yaw).all(axis=1) & np.isfinite(candidates.score)
    if candidates.speed is not None:
        finite &= np.isfinite(candidates.speed).all(axis=1)
    reasons[~finite] |= np.uint16(InvalidReason.NONFINITE)
    usable = np.where(finite[:, None, None], xy, 0.0)
    if speed is not None:
        expected = np.array([speed * candidates.time_step, 0.0])
        jump = np.linalg.norm(usable[:, 0] - expected, axis=-1) > limits.max_start_jump
        reasons[finite & jump] |= np.uint16(InvalidReason.START_JUMP)
    reasons[finite & _beyond_dynamics(usable, candidates.time_step, limits)] |= np.uint16(InvalidReason.KINEMATICS)
    return reasons


def _beyond_dynamics(xy: NDArray[np.float64], time_step: float, limits: PlanningLimits) -> NDArray[np.bool_]:
    """Whether speeds, or the changes of velocity between segments, exceed the limits (N,)."""
    start = np.zeros_like(xy[:, :1])
    velocity = np.diff(np.concatenate([start, xy], axis=1), axis=1) / time_step
    speed = np.linalg.norm(velocity, axis=-1)
    beyond = (speed > limits.max_speed).any(axis=1)
    if xy.shape[1] < 2:
        return np.asarray(beyond)
    acceleration = np.diff(velocity, axis=1) / time_step
    mean = velocity[:, 1:] + velocity[:, :-1]
    # Between two opposite or standing segments there is no direction of travel: all of the change is longitudinal.
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    along = np.divide(mean, length, out=np.zeros_like(mean), where=length > 1e-6)
    longitudinal = np.abs((acceleration * along).sum(axis=-1))
    lateral = np.abs(acceleration[..., 1] * along[..., 0] - acceleration[..., 0] * along[..., 1])
    undirected = length[..., 0] <= 1e-6
    longitudinal = np.where(undirected, np.linalg.norm(acceleration, axis=-1), longitudinal)
    beyond |= (longitudinal > limits.max_acceleration).any(axis=1)
    beyond |= (lateral > limits.max_lateral_acceleration).any(axis=1)
    return np.asarray(beyond)
