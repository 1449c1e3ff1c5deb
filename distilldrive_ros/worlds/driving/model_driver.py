"""A model drives: sensors, model and planner as in the graph, in one process, the same plans every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.pdm.world import TIME_STEP_S
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.scene.errors import ModelOutputError, SensorDataError
from distilldrive_ros.scene.sensor_frame import Discontinuity
from distilldrive_ros.worlds.driving.closed_loop import ClosedLoop, DrivingSettings
from distilldrive_ros.worlds.driving.drive_log import DriveLog
from distilldrive_ros.worlds.driving.ground_truth import WorldTruth
from distilldrive_ros.worlds.driving.plan import selected_plan
from distilldrive_ros.worlds.driving.sensor_set import Sensors, sensor_frame
from distilldrive_ros.worlds.expert.driver import ExpertDriver
from distilldrive_ros.worlds.session import WorldSession

# For models that take sets at any rate: as often as the key frames of nuScenes.
DEFAULT_PERIOD_S = 0.5


class ModelDriver:
    """One drive with one model. `limits`: as the parameters of `planner`."""

    def __init__(
        self, model: DrivingModel, sensors: Sensors, truth: WorldTruth, limits: PlanningLimits | None = None
    ) -> None:
        """Start anew: the model's memory is empty. `truth`: given to privileged models only."""
        self._truth = truth if model.requirements.ground_truth else None
        self._sensors, self._limits = sensors, limits or PlanningLimits()
        self._session = ModelSession(model)
        self._sets = 0
        self.seconds: list[float] = []

    def plan(self, loop: ClosedLoop) -> None:
        """Look, plan, and give the loop the plan, or the reason why there is none.

        Raises:
            WorldError: the renderer failed.
        """
        seen = self._sensors.take(loop.previous, loop.snapshot)
        start = Discontinuity.NONE if self._sets else Discontinuity.START
        frame = sensor_frame(seen, self._sensors.rig, self._sets, loop.command, start)
        if self._truth is not None:
            frame = replace(frame, privileged=self._truth.at(loop.snapshot))
        self._sets += 1
        try:
            output = self._session.run(frame)
        except (SensorDataError, ModelOutputError) as error:
            loop.refuse(str(error))
            return
        self.seconds.append(float(sum(output.stage_seconds.values())))
        candidates = output.candidates
        if not (np.isfinite(candidates.x).all() and np.isfinite(candidates.y).all()):
            # As the node does: a NaN in a plan may be one in the state, which would poison every later set.
            self._session.reset("candidates are not finite")
        selected = selected_plan(plan(candidates, self._limits, seen.ego.speed))
        if selected is None:
            loop.refuse("none of the model's candidates is valid")
        else:
            loop.give(selected)


def plan_period(model: DrivingModel) -> int:
    """Steps of the loop between two plans of a model."""
    return max(1, round((model.requirements.period_s or DEFAULT_PERIOD_S) / TIME_STEP_S))


def drive_expert(session: WorldSession, settings: DrivingSettings | None = None) -> DriveLog:
    """Let the privileged expert drive to the end, for comparison.

    Raises:
        WorldError: the world cannot be driven in.
    """
    loop, expert = ClosedLoop(session, settings), ExpertDriver(session)
    while not loop.ended:
        loop.advance(expert.step(session))
    return loop.log


def drive(
    session: WorldSession, model: DrivingModel, sensors: Sensors, settings: DrivingSettings | None = None
) -> tuple[DriveLog, ModelDriver]:
    """Drive through a world to the end. The session and the sensors stay the caller's.

    Raises:
        WorldError: the world cannot be driven in, or the renderer failed.
    """
    loop, driver = ClosedLoop(session, settings), ModelDriver(model, sensors, WorldTruth(session))
    # Cameras open before the sweep: the first set needs a step before it.
    loop.advance()
    steps = plan_period(model)
    count = 0
    while not loop.ended:
        if count % steps == 0:
            driver.plan(loop)
        loop.advance()
        count += 1
    return loop.log, driver
