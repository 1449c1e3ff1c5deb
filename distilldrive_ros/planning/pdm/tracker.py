"""The LQR tracker of NAVSIM's simulator, for all proposals at once (spec 7.2)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.planning.pdm.vehicle import Vehicle
from distilldrive_ros.planning.pdm.world import TIME_STEP_S as DT

Array = NDArray[np.float64]

HORIZON = 10
LATERAL_WEIGHTS = (1.0, 10.0)
STEERING_WEIGHT = 1.0
# One-step longitudinal LQR with weight 10 on speed, 1 on acceleration and B = HORIZON * DT = 1.
SPEED_GAIN = 10.0 / 11.0
STOP_GAIN = 0.5
STOP_SPEED = 0.2
JERK_PENALTY = 1e-4
CURVATURE_RATE_PENALTY = 1e-2
INITIAL_CURVATURE_PENALTY = 1e-10


class Tracker:
    """Commands that follow reference poses (P, 41, 3). Made once per batch: fits speed and curvature profiles."""

    def __init__(self, references: Array, vehicle: Vehicle, jerk_penalty: bool = False) -> None:
        """Fit the profiles. `jerk_penalty`: see `fidelity.Fidelity`."""
        self._references = references
        self._wheel_base = vehicle.wheel_base
        self._speeds, self._curvatures = _profiles(references, jerk_penalty)

    def commands(self, step: int, states: Array) -> tuple[Array, Array]:
        """Acceleration (P,) m/s^2 and steering rate (P,) rad/s for states (P, 11) at a step."""
        last = self._speeds.shape[1] - 1
        ahead = min(step + HORIZON, last)
        speed, target = states[:, State.VX], self._speeds[:, ahead]
        stopping = (target <= STOP_SPEED) & (speed <= STOP_SPEED)
        acceleration = np.where(stopping, STOP_GAIN, SPEED_GAIN) * (target - speed)
        steering_rate = np.where(stopping, 0.0, self._steering_rate(step, ahead, states, acceleration))
        return acceleration, steering_rate

    def _steering_rate(self, step: int, ahead: int, states: Array, acceleration: Array) -> Array:
        """One-step LQR on the lateral error at the end of the horizon, under a constant steering rate.

        The ten steps compose to an upper triangular map, kept as its entries: error <- a01 psi + a02 delta + b0 u +
        g0, psi <- a12 delta + b1 u + g1.
        """
        reference = self._references[:, step]
        dx, dy = states[:, State.X] - reference[:, 0], states[:, State.Y] - reference[:, 1]
        error = -dx * np.sin(reference[:, 2]) + dy * np.cos(reference[:, 2])
        psi = wrap(states[:, State.HEADING] - reference[:, 2])
        delta = states[:, State.STEERING_ANGLE]
        b0, b1, b2 = np.zeros_like(psi), np.zeros_like(psi), 0.0
        for j in range(HORIZON):
            travelled = (states[:, State.VX] + j * acceleration * DT) * DT
            curvature = self._curvatures[:, min(step + j, ahead)]
            turn = travelled / self._wheel_base
            error, b0 = error + travelled * psi, b0 + travelled * b1
            psi, b1 = psi + turn * delta - travelled * curvature, b1 + turn * b2
            b2 += DT
        psi, delta = wrap(psi), wrap(delta)
        q0, q1 = LATERAL_WEIGHTS
        return -(b0 * q0 * error + b1 * q1 * psi) / (b0 * q0 * b0 + b1 * q1 * b1 + STEERING_WEIGHT)


def _profiles(references: Array, jerk_penalty: bool) -> tuple[Array, Array]:
    """Speeds and curvatures (P, 40) of least squares along the references."""
    moved = np.diff(references[..., :2], axis=1)
    heading = references[:, :-1, 2]
    along = moved[..., 0] * np.cos(heading) + moved[..., 1] * np.sin(heading)
    speeds = along @ _speed_fit(along.shape[1], jerk_penalty).T
    turned = wrap(np.diff(references[..., 2], axis=1))
    # Solve for [k0, curvature rates] with rows v_i dt [1, dt, ..., dt, 0, ...].
    cumulative = _cumulative(along.shape[1])
    rows = speeds[..., None] * DT * cumulative
    penalty = np.full(along.shape[1], CURVATURE_RATE_PENALTY)
    penalty[0] = INITIAL_CURVATURE_PENALTY
    normal = rows.transpose(0, 2, 1) @ rows + np.diag(penalty)
    solution = np.linalg.solve(normal, rows.transpose(0, 2, 1) @ turned[..., None])[..., 0]
    return speeds, solution @ cumulative.T


@cache
def _cumulative(count: int) -> Array:
    """Matrix (count, count): value i = first + dt * (sum of the first i rates)."""
    out = np.tril(np.ones((count, count))) * DT
    out[:, 0] = 1.0
    return out


@cache
def _speed_fit(count: int, jerk_penalty: bool) -> Array:
    """Matrix (count, count) from displacements along the heading to fitted speeds.

    The headings' sine and cosine drop out of the normal matrix, so that one matrix serves every proposal.
    """
    cumulative = _cumulative(count)
    rates = count - 1
    difference = np.zeros((rates - 1, count))
    index = np.arange(rates - 1)
    if jerk_penalty:
        difference[index, index + 1] = -1.0
        difference[index, index + 2] = 1.0
    else:
        difference[index, index + 1] = 1.0
        difference[-1, -2:] = [-1.0, 1.0]
    model = cumulative * DT
    normal = model.T @ model + JERK_PENALTY * difference.T @ difference
    return np.asarray(cumulative @ np.linalg.pinv(normal) @ model.T)
