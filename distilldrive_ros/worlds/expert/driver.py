"""The expert: follows the route, keeps its distance, waits where it has to, and brakes for what may come.

It is privileged: it sees the true state of all road users, lights and the map, but not what they will do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import wrap
from distilldrive_ros.geometry.rectangles import rectangles_overlap
from distilldrive_ros.planning.pdm.idm import NO_LEAD_M, SMALLEST_GAP_M, IdmParameters, corridor
from distilldrive_ros.planning.pdm.vehicle import PACIFICA
from distilldrive_ros.worlds.expert.forecast import HORIZON_S, STARTING_SPEED, STEP_S, TIMES, Forecast, LaneForecaster
from distilldrive_ros.worlds.expert.reference import Reference, agent_corners
from distilldrive_ros.worlds.expert.right_of_way import RightOfWay
from distilldrive_ros.worlds.session import WorldSession
from distilldrive_ros.worlds.world import Agent, EgoState, Snapshot

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DRIVER = IdmParameters(min_gap=2.0, headway=1.5, acceleration=1.5, deceleration=2.0, exponent=4.0)
# Accelerations that are tried against the forecasts, m/s^2.
HARDEST = -6.0
TRIED = np.array([0.0, -0.5, -1.0, -1.5, -2.0, -2.5, -3.0, -3.5, -4.0, -5.0, HARDEST])
# Jerks, m/s^3: towards more speed, towards less, and in need.
# The slower it is, the less is gained by braking hard, m/s^2 and 1/s.
HARDEST_AT_REST, HARDER_PER_SPEED = -3.0, 0.6
# Waiting for others begins before a stop line that is so near, m, where this braking suffices, m/s^2.
WAITING_ROOM_M, FIRM = 30.0, 3.0
JERK_UP, JERK_DOWN, JERK_NEED = 1.6, 3.0, 12.0
NEED = -3.0
# A standing lead is kept off the stop line by so much, m.
STOP_LINE_ROOM_M = 0.8
SIGHT_M = 110.0
# Room around the ego and around people on foot, m; time that crossing traffic is early or late by, s.
EGO_ROOM = np.array([0.6, 0.25])
WALKER_ROOM = np.array([1.0, 1.0])
VEHICLE_ROOM = np.array([0.3, 0.15])
CROSSING_STEPS = round(0.5 / STEP_S)
SAME_DIRECTION = math.radians(30.0)
CORRIDOR_ROOM_M = 0.5
# Who leads is left to the driver model but for emergencies within this time, s.
LEAD_ANGLE, LEAD_HORIZON_S = math.radians(45.0), 1.5
STANDING = 0.2
# Who will never be nearer to any place the ego may be at is left out, m.
NEAR_M = 12.0
# How much the driver model is softened, and the gap that is kept while it is, m.
COOLNESS, STANDSTILL_GAP_M = 0.97, 1.5
MAX_STEERING_RATE = 0.6
# The lateral error fades over this time, but no shorter distance than this one, m.
CONVERGENCE_S, CONVERGENCE_M = 1.0, 5.0
DAMPING = 0.9


@dataclass(frozen=True)
class _Known:
    """What was seen of an agent one step ago."""

    speed: float
    acceleration: float


class ExpertDriver:
    """Drives one session from its present state on."""

    def __init__(self, session: WorldSession) -> None:
        """Plan the line around what stands."""
        standing = [agent for agent in session.snapshot.agents if _never_moves(agent)]
        self._reference = Reference(session.route.centerline, session.place, session.route.lanes, standing)
        self._path = self._reference.path
        self._rules = RightOfWay(session.place, session.route.lanes, self._path)
        self._forecaster = LaneForecaster(session.place)
        self._period = session.period_ns / 1e9
        self._known: dict[int, _Known] = {}
        self._along = float(self._path.locate(session.snapshot.ego.position)[0])

    @property
    def arrived(self) -> bool:
        """Whether the route's end is reached."""
        return self._along + PACIFICA.front_length >= self._reference.end

    def step(self, session: WorldSession) -> EgoState:
        """State of the ego one period later; the caller hands it to `session.step`."""
        snapshot = session.snapshot
        ego = snapshot.ego
        self._watch(snapshot)
        self._along = float(self._path.locate(ego.position)[0])
        wanted = self._acceleration(snapshot)
        low = JERK_NEED if wanted < NEED else JERK_DOWN
        change = np.clip(wanted - ego.acceleration, -low * self._period, JERK_UP * self._period)
        if ego.acceleration < NEED:
            change = np.clip(wanted - ego.acceleration, -low * self._period, JERK_NEED * self._period / 2)
        return self._advance(ego, float(ego.acceleration + change))

    def _watch(self, snapshot: Snapshot) -> None:
        """Keep every agent's speed, for its acceleration."""
        now = {}
        for agent in snapshot.agents:
            speed = float(np.linalg.norm(agent.velocity))
            before = self._known.get(agent.id)
            change = (speed - before.speed) / self._period if before else 0.0
            # One step of noise is no braking.
            now[agent.id] = _Known(speed, 0.5 * change + 0.5 * before.acceleration if before else 0.0)
        self._known = now

    def _acceleration(self, snapshot: Snapshot) -> float:
        """What comfort, the road, lights and the others allow, m/s^2."""
        ego, front = snapshot.ego, self._along + PACIFICA.front_length
        near = [a for a in snapshot.agents if np.linalg.norm(a.center[:2] - ego.position) < SIGHT_M]
        ahead = self._along + ego.speed * np.array([0.0, 0.5, 1.0])
        target = max(0.5, float(self._reference.speed(ahead).min()))
        stop = self._rules.stop_ahead(front, ego.speed, snapshot.lights) - STOP_LINE_ROOM_M
        wanted = min(
            self._follow(ego, near, target),
            _stopping(ego.speed, target, stop),
        )
        wanted = max(wanted, HARDEST)
        safe = self._safe(snapshot, near, wanted, target)
        line = self._rules.yield_ahead(front) - STOP_LINE_ROOM_M
        if safe < wanted and ego.speed**2 / (2 * FIRM) < line < WAITING_ROOM_M:
            # Who has to wait does so at the line, not beyond it.
            safe = min(safe, _stopping(ego.speed, target, line))
        return min(wanted, safe)

    def _follow(self, ego: EgoState, agents: list[Agent], target: float) -> float:
        """Acceleration towards a speed behind who is ahead on the path, m/s^2.

        The driver model alone brakes hard for anybody who cuts in close and drives off; where constant accelerations
        say that there is no need, it is softened as in adaptive cruise control (Kesting, Treiber, Helbing 2010).
        """
        gap, speed, acceleration = NO_LEAD_M, 0.0, 0.0
        if agents:
            corners, width = agent_corners(agents), PACIFICA.width + CORRIDOR_ROOM_M
            velocities = np.array([agent.velocity for agent in agents])
            here = np.array(self._along)
            found, along = corridor(self._path, width, corners, velocities).lead(here, PACIFICA.front_length)
            gap, speed = float(found), max(0.0, float(along))
            if gap < NO_LEAD_M:
                change = np.array([self._known[a.id].acceleration for a in agents])
                vectors = change[:, None] * np.array([[math.cos(a.yaw), math.sin(a.yaw)] for a in agents])
                acceleration = float(corridor(self._path, width, corners, vectors).lead(here, 0.0)[1])
        wanted = max(HARDEST, float(DRIVER.accelerate(ego.speed, target, gap, speed)))
        if gap >= NO_LEAD_M:
            return wanted
        return _softened(wanted, ego.speed, max(gap - STANDSTILL_GAP_M, SMALLEST_GAP_M), speed, min(acceleration, 1.0))

    def _safe(self, snapshot: Snapshot, agents: list[Agent], wanted: float, target: float) -> float:
        """The highest tried acceleration, not above the wanted one, under which no forecast is met.

        Where every one meets something, the one that does so last.
        """
        ego = snapshot.ego
        hardest = float(np.clip(HARDEST_AT_REST - HARDER_PER_SPEED * ego.speed, HARDEST, HARDEST_AT_REST))
        tried = np.append(wanted, TRIED[(wanted > TRIED) & (hardest - 0.25 <= TRIED)])
        bodies = self._rollouts(ego, tried, target)
        forecasts = self._forecasts(snapshot, agents, bodies)
        if not forecasts:
            return wanted
        exact = np.stack([forecast.rectangles for forecast in forecasts])
        roomy = exact.copy()
        people = np.array([forecast.agent.category.startswith("human") for forecast in forecasts])
        roomy[..., 2:4] += np.where(people[:, None, None], WALKER_ROOM, VEHICLE_ROOM)
        grown = bodies.copy()
        grown[..., 2:4] += EGO_ROOM
        met = rectangles_overlap(grown[:, None], roomy[None])
        # Who crosses may be early or late.
        crossing = np.abs(wrap(exact[:, 0, 4] - ego.yaw)) > SAME_DIRECTION
        if crossing.any():
            late = grown[:, None, :-CROSSING_STEPS], roomy[None, crossing, CROSSING_STEPS:]
            early = grown[:, None, CROSSING_STEPS:], roomy[None, crossing, :-CROSSING_STEPS]
            met[:, crossing, :-CROSSING_STEPS] |= rectangles_overlap(*late)
            met[:, crossing, CROSSING_STEPS:] |= rectangles_overlap(*early)
        touched = rectangles_overlap(bodies[:, None], exact[None])
        # Who is already that close is met only where boxes touch.
        close = met[:, :, 0].any(axis=0)
        met[:, close] = touched[:, close]
        # For room and for doubts it brakes firmly, for what will surely be hit as hard as it can.
        firm = tried >= min(NEED, wanted)
        return min(_highest_free(tried[firm], met[firm]), _highest_free(tried, touched))

    def _forecasts(self, snapshot: Snapshot, agents: list[Agent], bodies: Array) -> list[Forecast]:
        """Forecasts of all who may come into the ego's way, whose boxes (A, T, 5) are given."""
        ego = snapshot.ego
        moving = [agent for agent in agents if not _never_moves(agent) and not _follows(ego, agent)]
        if not moving:
            return []
        closed = self._rules.waiting_lanes(self._along + PACIFICA.front_length, snapshot.lights)
        centers = np.array([agent.center[:2] for agent in moving])
        along, aside = self._path.locate(centers)
        angles = np.abs(wrap(np.array([agent.yaw for agent in moving]) - self._path.poses(along)[:, 2]))
        leads = (along > self._along) & (np.abs(aside) < PACIFICA.width) & (angles < LEAD_ANGLE)
        low, high = bodies[..., :2].min(axis=(0, 1)), bodies[..., :2].max(axis=(0, 1))
        out = []
        for agent, lead in zip(moving, leads.tolist(), strict=True):
            known = self._known[agent.id]
            reach = (max(known.speed, STARTING_SPEED) if known.speed > STANDING else 0.0) * HORIZON_S + NEAR_M
            if ((agent.center[:2] < low - reach) | (agent.center[:2] > high + reach)).any():
                continue
            for forecast in self._forecaster.forecast(agent, known.acceleration, closed, self._rules.lets_ego_pass):
                places = forecast.rectangles[:, :2]
                if ((places > low - NEAR_M) & (places < high + NEAR_M)).all(axis=1).any():
                    out.append(forecast.until(LEAD_HORIZON_S) if lead else forecast)
        return out

    def _rollouts(self, ego: EgoState, accelerations: Array, target: float) -> Array:
        """Boxes (A, T, 5) of the ego on its path at `TIMES`."""
        highest = max(target, ego.speed)
        a = accelerations[:, None]
        limit = np.where(a > 0, (highest - ego.speed) / np.maximum(a, 1e-6), ego.speed / np.maximum(-a, 1e-6))
        until = np.minimum(TIMES[None], limit)
        end = ego.speed + a * until
        travelled = ego.speed * until + a * until**2 / 2 + np.where(a > 0, end, 0.0) * (TIMES[None] - until)
        travelled = np.where(a == 0, ego.speed * TIMES[None], travelled)
        poses = self._path.poses(self._along + travelled)
        boxes = np.empty((*travelled.shape, 5))
        boxes[..., :2] = PACIFICA.centers(poses)
        boxes[..., 2], boxes[..., 3], boxes[..., 4] = PACIFICA.length, PACIFICA.width, poses[..., 2]
        return boxes

    def _advance(self, ego: EgoState, acceleration: float) -> EgoState:
        """The kinematic bicycle, steered to the path by its curvature and by its lateral and heading error."""
        period = self._period
        speed = max(0.0, ego.speed + acceleration * period)
        if speed == 0.0:
            acceleration = max(acceleration, -0.3) if ego.speed < STANDING else acceleration
        pose = self._path.poses(self._along)
        error = float(
            -math.sin(pose[2]) * (ego.position[0] - pose[0]) + math.cos(pose[2]) * (ego.position[1] - pose[1])
        )
        turned = float(wrap(np.array(ego.yaw - pose[2])))
        reach = max(CONVERGENCE_M, CONVERGENCE_S * ego.speed)
        here = self._reference.curvature(self._along + ego.speed * period)
        curvature = here - 2 * DAMPING / reach * math.sin(turned) - error / reach**2
        wanted = math.atan(PACIFICA.wheel_base * curvature)
        limit = MAX_STEERING_RATE * period
        steering = (
            ego.steering + float(np.clip(wanted - ego.steering, -limit, limit)) if speed > STANDING else ego.steering
        )
        steering = float(np.clip(steering, -PACIFICA.max_steering_angle, PACIFICA.max_steering_angle))
        moved = (ego.speed + speed) / 2 * period
        turn = moved * math.tan(steering) / PACIFICA.wheel_base
        middle = ego.yaw + turn / 2
        position = ego.position + moved * np.array([math.cos(middle), math.sin(middle)])
        return EgoState(
            position=position,
            yaw=float(wrap(np.array(ego.yaw + turn))),
            speed=speed,
            acceleration=acceleration,
            yaw_rate=turn / period,
            steering=steering,
        )


def _never_moves(agent: Agent) -> bool:
    """Parked vehicles and loose objects."""
    return agent.attribute == "vehicle.parked" or agent.category.startswith("movable_object")


def _highest_free(tried: Array, met: Mask) -> float:
    """The highest acceleration (A,) that meets nobody (A, N, T); else the lowest of those that do so last."""
    meets: Mask = np.any(met, axis=1)
    free = np.where(meets.any(axis=1), meets.argmax(axis=1), len(TIMES))
    best = int(free.max())
    return float(tried[free.argmax()] if best == len(TIMES) else tried[np.flatnonzero(free == best)[-1]])


def _follows(ego: EgoState, agent: Agent) -> bool:
    """Whether it drives behind the ego in the ego's own lane: it has to keep the distance."""
    dx, dy = agent.center[:2] - ego.position
    c, s = math.cos(ego.yaw), math.sin(ego.yaw)
    ahead, left = c * dx + s * dy, c * dy - s * dx
    overlap = abs(left) < (PACIFICA.width + agent.size[1]) / 2
    return bool(ahead + agent.size[0] / 2 < -PACIFICA.rear_length + 0.5 and overlap)


def _stopping(speed: float, target: float, room: float) -> float:
    """Acceleration towards a target speed that comes to rest after `room` metres; inf: no need to."""
    wanted = float(DRIVER.accelerate(speed, target, min(max(room, 0.0) + DRIVER.min_gap, NO_LEAD_M), 0.0))
    return wanted if room == math.inf else _softened(wanted, speed, max(room, SMALLEST_GAP_M), 0.0, 0.0)


def _softened(wanted: float, speed: float, gap: float, lead_speed: float, lead_acceleration: float) -> float:
    """The driver model's acceleration, where it brakes harder than constant accelerations ask for."""
    closing = speed - lead_speed
    if lead_speed * closing <= -2 * gap * lead_acceleration:
        needed = speed**2 * lead_acceleration / max(lead_speed**2 - 2 * gap * lead_acceleration, 1e-3)
    else:
        needed = lead_acceleration - max(closing, 0.0) ** 2 / (2 * gap)
    if wanted >= needed:
        return wanted
    b = DRIVER.deceleration
    return (1 - COOLNESS) * wanted + COOLNESS * (needed + b * math.tanh((wanted - needed) / b))
