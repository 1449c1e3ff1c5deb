"""The closed loop: plans move the vehicle, the vehicle moves in the world, the world answers.

Where plans come from is the caller's business: he takes `snapshot`, lets somebody plan, gives the plan and asks for the
next step. The vehicle follows the newest plan that can be driven; it brakes while there is none.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from distilldrive_ros.planning.pdm.vehicle import PACIFICA, Vehicle
from distilldrive_ros.planning.pdm.world import TIME_STEP_S
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError, WorldError
from distilldrive_ros.worlds.driving.drive_log import DriveLog, EndReason, EventKind
from distilldrive_ros.worlds.driving.following import FOLLOWERS, Follower, reference_of
from distilldrive_ros.worlds.driving.hazards import DrivableGround, touched
from distilldrive_ros.worlds.driving.plan import DrivingPlan
from distilldrive_ros.worlds.driving.red_lights import LightWatch
from distilldrive_ros.worlds.driving.route_progress import RouteProgress
from distilldrive_ros.worlds.driving.vehicle import driven, ego_of, state_of
from distilldrive_ros.worlds.interpolation import ego_between
from distilldrive_ros.worlds.session import WorldSession
from distilldrive_ros.worlds.world import EgoState, Snapshot

STEP_NS = round(TIME_STEP_S * 1e9)
# How far back a plan's stamp may lie for the vehicle's pose to be known, steps.
HISTORY_STEPS = 100


@dataclass(frozen=True)
class DrivingSettings:
    """`follower`: pure_pursuit, or lqr as in NAVSIM, which cuts corners.

    `max_plan_age_s`: a plan is followed that long after its stamp. `braking` m/s^2: while there is no plan.
    `time_limit_s`: the drive ends then. `route_m`: the goal is that far along the route, or at its end. `arrival_m`: so
    near the goal it has arrived.
    """

    follower: str = "pure_pursuit"
    max_plan_age_s: float = 1.5
    braking: float = 3.0
    time_limit_s: float = 60.0
    route_m: float = 1e4
    arrival_m: float = 5.0

    def __post_init__(self) -> None:
        """Refuse wrong values.

        Raises:
            ConfigurationError: with name, value and remedy.
        """
        if self.follower not in FOLLOWERS:
            raise ConfigurationError(f"follower {self.follower!r} is unknown; use one of {', '.join(FOLLOWERS)}")
        for name in ("max_plan_age_s", "braking", "time_limit_s", "route_m", "arrival_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"driving setting {name} = {value} must be a positive number")


class ClosedLoop:
    """One drive through one world. Not thread-safe; the session stays the caller's, who closes it."""

    def __init__(
        self, session: WorldSession, settings: DrivingSettings | None = None, vehicle: Vehicle = PACIFICA
    ) -> None:
        """Begin at the session's present instant.

        Raises:
            WorldError: the world moves in other steps than the vehicle, or the route cannot be driven.
        """
        if session.period_ns != STEP_NS:
            raise WorldError(
                f"{session.name} moves in steps of {session.period_ns * 1e-9:g} s; the vehicle needs {TIME_STEP_S} s"
            )
        self._session, self._settings, self._vehicle = session, settings or DrivingSettings(), vehicle
        self._ground = DrivableGround(session.place)
        self._lights = LightWatch(session.place, session.route, vehicle)
        self.snapshot = self.previous = session.snapshot
        self._state = state_of(self.snapshot.ego)
        self._progress = RouteProgress(session.route, self.snapshot.ego.position, self._settings.route_m)
        self._past: deque[tuple[int, EgoState]] = deque(maxlen=HISTORY_STEPS)
        self._plan: DrivingPlan | None = None
        self._follower: Follower | None = None
        # Until the first plan it keeps its speed, for as long as a plan would be followed.
        self._coasts_until_ns = self.snapshot.time_ns + round(self._settings.max_plan_age_s * 1e9)
        self._braking = False
        self._on_road = True
        self.log = DriveLog(session.name, session.description, session.place, session.route, vehicle)
        self._note_step()

    @property
    def ended(self) -> EndReason | None:
        """Why the drive is over; None while it goes on."""
        return self.log.end

    @property
    def time_ns(self) -> int:
        """The world's time."""
        return self.snapshot.time_ns

    @property
    def command(self) -> Command:
        """What the route asks for now."""
        return self._progress.command(self.snapshot.ego.speed)

    def give(self, plan: DrivingPlan) -> str:
        """Follow that plan from now on.

        Returns:
            Empty, or why it is not followed. A plan that cannot be driven lets the vehicle brake until a better one
            comes; one that is older than that being followed is passed over.
        """
        problem = plan.problem
        if not problem and self._plan is not None and plan.stamp_ns < self._plan.stamp_ns:
            return "it is older than the plan being followed"
        start = self._ego_at(plan.stamp_ns)
        if not problem and start is None:
            problem = f"its stamp {plan.stamp_ns * 1e-9:.3f} s is none of the last {HISTORY_STEPS} steps"
        if problem or start is None:
            self.refuse(f"plan refused: {problem}")
            return problem
        self._plan = plan
        self._follower = FOLLOWERS[self._settings.follower](reference_of(plan, start), self._vehicle)
        self.log.plans.append(plan)
        return ""

    def refuse(self, cause: str) -> None:
        """There is no plan that can be driven, for that cause: brake from now on, until one comes."""
        self._plan = self._follower = None
        self._coasts_until_ns = self.time_ns
        self.log.refused_plans += 1
        self.log.add(self.time_ns, EventKind.PLAN_REFUSED, cause)

    def advance(self, ego: EgoState | None = None) -> Snapshot:
        """One step of 0.1 s. The engine's failure, like every other end, is in `ended` and the log.

        Args:
            ego: where the vehicle is then, from a driver who makes no plans; None: as the plan says.
        """
        if self.ended is not None:
            return self.snapshot
        state = state_of(ego) if ego is not None else driven(self._state, *self._commands(), self._vehicle)
        try:
            after = self._session.step(ego_of(state))
        except WorldError as error:
            self._end(EndReason.ENGINE_FAILED, str(error))
            return self.snapshot
        self.previous, self.snapshot, self._state = self.snapshot, after, state
        self._progress.update(after.ego.position)
        self._note_step()
        self._judge()
        return self.snapshot

    def stop(self, detail: str, reason: EndReason = EndReason.STOPPED) -> None:
        """End the drive from outside."""
        if self.ended is None:
            self._end(reason, detail)

    def _commands(self) -> tuple[float, float]:
        """Acceleration and steering rate of this step."""
        now = self.time_ns
        plan, follower = self._plan, self._follower
        if plan is not None and follower is not None:
            age_s = (now - plan.stamp_ns) * 1e-9
            # Half a step: stamps are whole nanoseconds, times of poses are not.
            if age_s <= min(self._settings.max_plan_age_s, float(plan.times_s[-1])) - TIME_STEP_S / 2:
                self._set_braking(False, "a plan is followed again")
                return follower.commands(round(age_s / TIME_STEP_S), self._state)
            cause = f"the newest plan is {age_s:.1f} s old"
        elif now < self._coasts_until_ns:
            return 0.0, 0.0
        else:
            cause = "there is no plan"
        self._set_braking(True, cause)
        return -self._settings.braking, 0.0

    def _set_braking(self, braking: bool, detail: str) -> None:
        if braking != self._braking:
            self._braking = braking
            kind = EventKind.NO_PLAN if braking else EventKind.PLAN_AGAIN
            self.log.add(self.time_ns, kind, f"{detail}; the vehicle brakes" if braking else detail)

    def _ego_at(self, stamp_ns: int) -> EgoState | None:
        """The vehicle at an instant of the past, or None where that is not known."""
        before = next((entry for entry in reversed(self._past) if entry[0] <= stamp_ns), None)
        after = next((entry for entry in self._past if entry[0] >= stamp_ns), None)
        if before is None or after is None:
            return None
        if before[0] == after[0]:
            return before[1]
        return ego_between(before[1], after[1], (stamp_ns - before[0]) / (after[0] - before[0]))

    def _note_step(self) -> None:
        self._past.append((self.time_ns, self.snapshot.ego))
        log = self.log
        log.states.append(self._state)
        log.snapshots.append(self.snapshot)
        log.braked.append(self._braking)
        log.completion, log.driven_m = self._progress.completion, self._progress.driven_m
        lights = self._lights.update(self.snapshot)
        log.closed.append(lights.closed)
        log.lights_passed += len(lights.entered)
        log.red_lights_run += len(lights.run)
        for token in sorted(lights.run):
            detail = f"the vehicle drives past a red traffic light ({token}) at {self.snapshot.ego.speed:.1f} m/s"
            log.add(self.time_ns, EventKind.RED_LIGHT, detail)

    def _judge(self) -> None:
        """Whether something happened that ends the drive."""
        now, ego, settings = self.time_ns, self.snapshot.ego, self._settings
        on_road = self._ground.holds_body(ego, self._vehicle)
        self.log.off_road_steps += not on_road
        if self._on_road and not on_road:
            self.log.add(now, EventKind.LEFT_ROAD, "a corner of the vehicle leaves the drivable area")
        self._on_road = on_road
        hit = touched(ego, self.snapshot.agents, self._vehicle)
        if hit:
            names = ", ".join(f"{agent.category} {agent.id}" for agent in hit)
            self.log.add(now, EventKind.COLLISION, f"the vehicle touches {names} at {ego.speed:.1f} m/s")
            self._end(EndReason.COLLISION, f"collision with {names}")
        elif not on_road and not self._ground.holds_center(ego, self._vehicle):
            self._end(EndReason.OFF_ROAD, "the middle of the vehicle is off the drivable area")
        elif self._progress.remaining_m <= settings.arrival_m:
            self.log.completion = 1.0
            self._end(EndReason.ARRIVED, f"{self.log.driven_m:.0f} m of the route driven")
        elif self._session.ended:
            self._end(EndReason.WORLD_ENDED, "the world has no further steps")
        elif self.log.duration_s >= settings.time_limit_s - TIME_STEP_S / 2:
            self._end(EndReason.TIME_LIMIT, f"not arrived after {settings.time_limit_s:g} s")

    def _end(self, reason: EndReason, detail: str) -> None:
        self.log.end = reason
        self.log.add(self.time_ns, EventKind.END, f"{reason.value}: {detail}")
