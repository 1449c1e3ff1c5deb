"""PDM-Closed as a model of the graph. Privileged: it is given the annotated road users and the map with the route.

What a planner can reach that sees perfectly; never one to compare a network with as an equal.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.models.interface import ModelOutput, SensorRequirements
from distilldrive_ros.models.motion_history import MotionHistory, forward_acceleration
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.planning.pdm.privileged_world import privileged_world
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.scene.candidates import ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap

# Simulated states are 0.1 s apart; every fifth is a point of the plan.
POINT_STRIDE, POINT_STEP_S = 5, 0.5


@dataclass(frozen=True)
class PdmClosedModel:
    """Candidates are the 21 simulated proposals (4 s), scores their PDMS against forecasts of constant velocity."""

    trained: bool = True
    device: str = "cpu"
    model_id: str = "pdm_closed@privileged"

    @property
    def requirements(self) -> SensorRequirements:
        """Odometry and the ground truth."""
        return SensorRequirements(cameras=(), lidar=False, period_s=0.0, max_gap_s=2.0, ground_truth=True)

    def initial_state(self) -> MotionHistory | None:
        """No set before."""
        return None

    def prepare(self, frame: SensorFrame) -> SensorFrame:
        """Check what it needs.

        Raises:
            SensorDataError: the motion is not finite, or there is no ground truth.
        """
        if not all(map(math.isfinite, (frame.ego.speed, frame.ego.yaw_rate))):
            raise SensorDataError("odometry twist holds NaN or infinity; check the odometry source")
        if frame.privileged is None:
            raise SensorDataError(
                "pdm_closed is privileged and needs the ground truth of the set; play a bag made by `distilldrive "
                "convert` from a data set with its map expansion, or take another model"
            )
        return frame

    def step(self, state: MotionHistory | None, prepared: SensorFrame) -> tuple[MotionHistory, ModelOutput]:
        """Plan in the true world of the set.

        Raises:
            SensorDataError: the ground truth has no route.
        """
        start = time.perf_counter()
        assert prepared.privileged is not None  # as `prepare` has made sure
        ego = prepared.ego
        try:
            world = privileged_world(prepared.privileged, ego, forward_acceleration(ego, state, prepared.stamp_ns))
        except ScoringError as error:
            raise SensorDataError(str(error)) from error
        planned = plan_pdm_closed(world)
        points = planned.all_states[:, POINT_STRIDE::POINT_STRIDE].astype(np.float32)
        count = len(points)
        candidates = TrajectoryCandidates(
            stamp_ns=prepared.stamp_ns,
            frame_id=prepared.frame_id,
            inference_stamp_ns=0,
            model_id=self.model_id,
            score_type=ScoreType.SIGMOID,
            active_command=prepared.command,
            degraded=prepared.degraded,
            time_step=POINT_STEP_S,
            mode=np.arange(count, dtype=np.uint32),
            command=np.full(count, prepared.command, np.uint8),
            score=planned.scores.astype(np.float32),
            x=points[..., State.X],
            y=points[..., State.Y],
            yaw=points[..., State.HEADING],
            speed=points[..., State.VX],
        )
        output = ModelOutput(
            candidates=candidates,
            objects=ObjectPredictions(prepared.stamp_ns, prepared.frame_id, self.model_id, ()),
            vector_map=VectorMap(prepared.stamp_ns, prepared.frame_id, self.model_id, ()),
            stage_seconds={"proposals": time.perf_counter() - start},
        )
        return MotionHistory(prepared.stamp_ns, ego.speed), output
