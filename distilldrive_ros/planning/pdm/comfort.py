"""Comfort: bounds on smoothed accelerations, jerks and yaw motion (spec 7.4, 7.7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.planning.pdm.world import TIME_STEP_S

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FLAG_NAMES = (
    "longitudinal_acceleration",
    "lateral_acceleration",
    "jerk",
    "longitudinal_jerk",
    "yaw_acceleration",
    "yaw_rate",
)
MIN_LONGITUDINAL, MAX_LONGITUDINAL = -4.05, 2.40
MAX_LATERAL = 4.89
MAX_JERK = 8.37
MAX_LONGITUDINAL_JERK = 4.13
MAX_YAW_ACCELERATION = 1.93
MAX_YAW_RATE = 0.95
# Root mean squares of the difference between two consecutive plans.
MAX_ACCELERATION_CHANGE = 0.7
MAX_JERK_CHANGE = 0.5
MAX_YAW_RATE_CHANGE = 0.1
MAX_YAW_ACCELERATION_CHANGE = 0.1

_ACCELERATION_WINDOW, _JERK_WINDOW, _YAW_WINDOW = 8, 15, 5


def comfort_flags_v1(states: Array, short_windows: bool = False) -> Mask:
    """Flags (P, 6) in the order of `FLAG_NAMES` for states (P, T, 11), from rear-axle accelerations.

    `short_windows`: see `fidelity.Fidelity.short_comfort_windows`.
    """
    whole = None if short_windows else states.shape[1]
    ax, ay = states[..., State.AX], states[..., State.AY]
    return _within_bounds(
        smooth(ax, whole or _ACCELERATION_WINDOW),
        smooth(ay, whole or _ACCELERATION_WINDOW),
        _jerk(np.hypot(ax, ay), whole or _JERK_WINDOW),
        _jerk(ax, whole or _JERK_WINDOW),
        states,
    )


def comfort_flags_v2(states: Array, rigid_body: bool = False) -> Mask:
    """Flags (P, 6) for states (P, T, 11), with longitudinal and lateral acceleration at the vehicle's centre.

    `rigid_body`: see `fidelity.Fidelity.centripetal_axis`.
    """
    ax, ay = states[..., State.AX], states[..., State.AY]
    centripetal = PACIFICA.center_offset * states[..., State.YAW_RATE] ** 2
    tangential = PACIFICA.center_offset * states[..., State.YAW_ACCELERATION]
    if rigid_body:
        longitudinal, lateral = ax - centripetal, ay + tangential
    else:
        longitudinal, lateral = ax + centripetal + tangential, ay
    return _within_bounds(
        smooth(longitudinal, _ACCELERATION_WINDOW),
        smooth(lateral, _ACCELERATION_WINDOW),
        _jerk(np.hypot(ax, ay), _JERK_WINDOW),
        _jerk(longitudinal, _JERK_WINDOW),
        states,
    )


def extended_comfort(current: Array, previous: Array, shift: int) -> Mask:
    """Whether two consecutive plans agree (P,): states (P, T, 11) of now and of `shift` steps of 0.1 s before.

    The plans are compared where both exist, by the root mean square of what differs.
    """
    now, before = current[:, : current.shape[1] - shift], previous[:, shift:]
    out = np.ones(len(now), bool)
    magnitudes = [np.hypot(s[..., State.AX], s[..., State.AY]) for s in (now, before)]
    headings = [s[..., State.HEADING] for s in (now, before)]
    pairs = (
        (MAX_ACCELERATION_CHANGE, [smooth(m, _ACCELERATION_WINDOW) for m in magnitudes]),
        (MAX_JERK_CHANGE, [_jerk(m, _JERK_WINDOW) for m in magnitudes]),
        (MAX_YAW_RATE_CHANGE, [_yaw_derivative(h, 1, 2) for h in headings]),
        (MAX_YAW_ACCELERATION_CHANGE, [_yaw_derivative(h, 2, 2) for h in headings]),
    )
    for bound, (a, b) in pairs:
        out &= np.sqrt(((a - b) ** 2).mean(axis=-1)) <= bound
    return out


def smooth(values: Array, window: int) -> Array:
    """Savitzky-Golay of order 2 along the last axis, rounded to 8 decimals."""
    return np.asarray(np.round(savgol_filter(values, min(window, values.shape[-1]), 2, axis=-1), 8))


def _jerk(acceleration: Array, window: int) -> Array:
    """First derivative (P, T) of an acceleration that is smoothed first."""
    return _derivative(smooth(acceleration, _ACCELERATION_WINDOW), 1, 2, window)


def _derivative(values: Array, order: int, polynomial: int, window: int) -> Array:
    length = min(window, values.shape[-1])
    out = savgol_filter(values, length, polynomial, deriv=order, delta=TIME_STEP_S, axis=-1)
    return np.asarray(np.round(out, 8))


def _yaw_derivative(heading: Array, order: int, polynomial: int) -> Array:
    return _derivative(np.unwrap(heading, axis=-1), order, polynomial, _YAW_WINDOW)


def _within_bounds(longitudinal: Array, lateral: Array, jerk: Array, longitudinal_jerk: Array, states: Array) -> Mask:
    heading = states[..., State.HEADING]
    flags = (
        (longitudinal > MIN_LONGITUDINAL) & (longitudinal < MAX_LONGITUDINAL),
        np.abs(lateral) < MAX_LATERAL,
        np.abs(jerk) < MAX_JERK,
        np.abs(longitudinal_jerk) < MAX_LONGITUDINAL_JERK,
        np.abs(_yaw_derivative(heading, 2, 3)) < MAX_YAW_ACCELERATION,
        np.abs(_yaw_derivative(heading, 1, 2)) < MAX_YAW_RATE,
    )
    return np.stack([flag.all(axis=-1) for flag in flags], axis=-1)
