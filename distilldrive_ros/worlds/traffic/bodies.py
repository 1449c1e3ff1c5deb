"""From the points that SUMO moves to bodies with smooth headings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.worlds.traffic.road_users import RoadUser
from distilldrive_ros.worlds.world import Agent

# The axle that follows lies so far behind the front bumper, as a share of the length.
AXLE_SHARE = 0.75
# People turn on the spot: their heading follows over this length, m.
STRIDE_M = 0.35
STANDING_SPEED = 0.15
# Longer moves in one step are jumps of the engine, m.
LONGEST_STEP_M = 8.0
# SUMO takes people round corners in jumps of a metre; nobody walks faster than this, m/s.
FASTEST_WALK = 2.5
LONGEST_SKIP_M = 3.0
BRAKING = -0.6


@dataclass
class Body:
    """A road user as last seen. `front` is its front bumper's middle, `rear` the axle that follows."""

    id: int
    user: RoadUser
    seed: int
    front: tuple[float, float]
    rear: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    speed: float = 0.0
    walked: float = 0.0
    braking: bool = False

    @staticmethod
    def at(number: int, user: RoadUser, seed: int, front: tuple[float, float], yaw: float) -> Body:
        """A body that points along a yaw (rad)."""
        reach = _reach(user)
        return Body(number, user, seed, front, (front[0] - reach * math.cos(yaw), front[1] - reach * math.sin(yaw)))

    @property
    def yaw(self) -> float:
        """Heading, rad."""
        return math.atan2(self.front[1] - self.rear[1], self.front[0] - self.rear[0])

    def move(self, front: tuple[float, float], yaw: float, speed: float, period: float) -> None:
        """Take the front to a new place: the axle is dragged behind it as a trailer is.

        Args:
            front: m.
            yaw: the engine's own, used where the body jumps.
            speed: m/s.
            period: s since the last move.
        """
        before, reach = self._center(), _reach(self.user)
        skipped = math.dist(front, self.front)
        jumps = skipped > LONGEST_STEP_M
        if self.user.vehicle_class == "pedestrian" and FASTEST_WALK * period < skipped < LONGEST_SKIP_M:
            share = FASTEST_WALK * period / skipped
            front = (
                self.front[0] + share * (front[0] - self.front[0]),
                self.front[1] + share * (front[1] - self.front[1]),
            )
        if jumps:
            self.rear = (front[0] - reach * math.cos(yaw), front[1] - reach * math.sin(yaw))
        else:
            gap = math.dist(front, self.rear)
            if gap > 1e-6:
                share = reach / gap
                self.rear = (
                    front[0] + (self.rear[0] - front[0]) * share,
                    front[1] + (self.rear[1] - front[1]) * share,
                )
        self.front = front
        self.braking = (speed - self.speed) / period < BRAKING if speed > STANDING_SPEED else True
        self.speed = speed
        center = self._center()
        if jumps:
            self.velocity = (speed * math.cos(yaw), speed * math.sin(yaw))
        else:
            self.velocity = ((center[0] - before[0]) / period, (center[1] - before[1]) / period)
            self.walked += math.dist(center, before)

    def agent(self) -> Agent:
        """The annotated box."""
        x, y = self._center()
        return Agent(
            id=self.id,
            category=self.user.category,
            attribute=self._attribute(),
            center=np.array([x, y, self.user.height / 2]),
            yaw=self.yaw,
            size=self.user.size,
            velocity=np.array(self.velocity),
            seed=self.seed,
            walked=self.walked,
            braking=self.braking and self.user.vehicle_class != "pedestrian",
        )

    def _center(self) -> tuple[float, float]:
        yaw, half = self.yaw, self.user.length / 2
        return (self.front[0] - half * math.cos(yaw), self.front[1] - half * math.sin(yaw))

    def _attribute(self) -> str:
        moving = self.speed > STANDING_SPEED
        if self.user.vehicle_class == "pedestrian":
            return "pedestrian.moving" if moving else "pedestrian.standing"
        if self.user.vehicle_class in ("bicycle", "motorcycle"):
            return "cycle.with_rider"
        return "vehicle.moving" if moving else "vehicle.stopped"


def _reach(user: RoadUser) -> float:
    return STRIDE_M if user.vehicle_class == "pedestrian" else AXLE_SHARE * user.length
