"""Where NAVSIM's published arithmetic departs from its own definitions, each as a switch.

`COMPATIBLE` reproduces the released scorers (v1.1 and 2.2) to the last digit: use it for every number that stands
beside a published one. `CORRECTED` does what the definitions say: use it to judge a planner, and name it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fidelity:
    """True: as defined; False: as released.

    jerk_penalty: the tracker's velocity fit punishes differences of neighbouring accelerations. Released: the
        difference matrix overwrites its own entries, which leaves a ridge on the accelerations (7.2).
    short_comfort_windows: v1 smooths accelerations over 8 and jerks over 15 samples, as v2 does. Released v1: over the
        whole horizon, so that even a hard stop passes the jerk bounds (7.4).
    centripetal_axis: v2 moves accelerations to the vehicle's centre as a rigid body does: longitudinal
        -offset * w^2, lateral + offset * dw/dt. Released: both terms are added to the longitudinal one (7.4).
    bearing_at_look_ahead: time to collision sees the object from where the ego will be. Released: the object's future
        centre is seen from the ego's present rear axle, so that a car that overtakes counts as ahead (7.4).
    lane_keeping_reset: the lane-keeping counter restarts after an intersection. Released: it goes on counting where it
        stood before it (7.7).
    uniform_history: history comfort takes the past up to 0.1 s before now. Released: one sample more is dropped and
        the gap of 0.2 s is treated as 0.1 s (7.7).
    """

    jerk_penalty: bool = False
    short_comfort_windows: bool = False
    centripetal_axis: bool = False
    bearing_at_look_ahead: bool = False
    lane_keeping_reset: bool = False
    uniform_history: bool = False


COMPATIBLE = Fidelity()
CORRECTED = Fidelity(True, True, True, True, True, True)
