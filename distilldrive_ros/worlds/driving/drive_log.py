"""What happened in a closed-loop drive, step by step: enough to score it, to draw it and to explain it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.planning.pdm.vehicle import Vehicle
from distilldrive_ros.worlds.driving.plan import DrivingPlan
from distilldrive_ros.worlds.session import Route
from distilldrive_ros.worlds.world import Place, Snapshot

Array = NDArray[np.float64]


class EndReason(Enum):
    """Why a drive ended. WORLD_ENDED: the world has no further steps; STOPPED: from outside."""

    ARRIVED = "arrived"
    COLLISION = "collision"
    OFF_ROAD = "off_road"
    TIME_LIMIT = "time_limit"
    WORLD_ENDED = "world_ended"
    ENGINE_FAILED = "engine_failed"
    STOPPED = "stopped"


class EventKind(Enum):
    """What may happen on the way.

    PLAN_REFUSED: a plan cannot be driven; NO_PLAN: none came, or the newest is too old; both let the vehicle brake.
    PLAN_AGAIN: it follows a plan again. RED_LIGHT: it drove past one that was red.
    """

    PLAN_REFUSED = "plan_refused"
    NO_PLAN = "no_plan"
    PLAN_AGAIN = "plan_again"
    LEFT_ROAD = "left_road"
    RED_LIGHT = "red_light"
    COLLISION = "collision"
    END = "end"


@dataclass(frozen=True)
class DriveEvent:
    """Something that happened at an instant; `detail` says it in words."""

    time_ns: int
    kind: EventKind
    detail: str


@dataclass
class DriveLog:
    """One drive.

    Per step: `states` (11,) of the simulator, `snapshots`, `braked`: whether it braked for want of a plan, `closed`:
    tokens of the traffic lights on its way that it must not pass (see `red_lights`).

    `plans`: those taken, in order. `completion`: driven part of the route, 0 to 1. `off_road_steps`: steps with a
    corner of the vehicle off the drivable area. `lights_passed`, of which `red_lights_run` were red.
    """

    name: str
    description: str
    place: Place
    route: Route
    vehicle: Vehicle
    states: list[Array] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    braked: list[bool] = field(default_factory=list)
    closed: list[frozenset[str]] = field(default_factory=list)
    plans: list[DrivingPlan] = field(default_factory=list)
    events: list[DriveEvent] = field(default_factory=list)
    refused_plans: int = 0
    off_road_steps: int = 0
    lights_passed: int = 0
    red_lights_run: int = 0
    completion: float = 0.0
    driven_m: float = 0.0
    end: EndReason | None = None

    @property
    def duration_s(self) -> float:
        """Time from the first step to the last."""
        return (self.snapshots[-1].time_ns - self.snapshots[0].time_ns) * 1e-9 if self.snapshots else 0.0

    def add(self, time_ns: int, kind: EventKind, detail: str) -> None:
        """Note an event."""
        self.events.append(DriveEvent(time_ns, kind, detail))
