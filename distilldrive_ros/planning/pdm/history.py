"""The ego's past as states every 0.1 s, for history comfort (spec 7.7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.states import STATE_SIZE, State
from distilldrive_ros.planning.pdm.world import TIME_STEP_S

Array = NDArray[np.float64]


def past_states(states: ArrayLike, times: ArrayLike, uniform: bool = False) -> Array:
    """States (M, 11) every 0.1 s from the first one to shortly before now, between sparse states (K, 11).

    Args:
        states: recorded states, oldest first, the last one now.
        times: their times (K,) in seconds; the last is now.
        uniform: see `fidelity.Fidelity.uniform_history`.

    Raises:
        ScoringError: fewer than two states, wrong shape, or times that do not increase.
    """
    known, at = np.asarray(states, np.float64), np.asarray(times, np.float64)
    if known.ndim != 2 or known.shape[1] != STATE_SIZE or len(known) < 2 or at.shape != (len(known),):
        raise ScoringError(f"the past needs two or more states of {STATE_SIZE} numbers with a time each")
    if not (np.isfinite(known).all() and (np.diff(at) > 0).all()):
        raise ScoringError("the past holds a state that is not finite, or times that do not increase")
    # The present is the first simulated state, so that it is left out here; half a nanosecond absorbs rounding.
    count = int(np.ceil((at[-1] - at[0]) / TIME_STEP_S - 5e-9))
    wanted = at[0] + np.arange(count if uniform else count - 1) * TIME_STEP_S
    smooth = known.copy()
    smooth[:, State.HEADING] = np.unwrap(known[:, State.HEADING])
    out = np.stack([np.interp(wanted, at, smooth[:, column]) for column in range(STATE_SIZE)], axis=-1)
    out[:, State.HEADING] = wrap(out[:, State.HEADING])
    return out
