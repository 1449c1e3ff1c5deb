"""The output of models that see nothing: candidates without road users and map."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from distilldrive_ros.models.interface import ModelOutput
from distilldrive_ros.scene.candidates import ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap


def plan_output(
    frame: SensorFrame,
    model_id: str,
    scores: ArrayLike,
    trajectories: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike],
    time_step: float,
    stage_seconds: Mapping[str, float],
    score_type: ScoreType = ScoreType.SOFTMAX,
) -> ModelOutput:
    """Candidates 0 to n - 1 for the command of the set.

    Args:
        frame: the set.
        model_id: of the model.
        scores: (n,).
        trajectories: x, y, yaw, speed in base_link, (n, T) each: m, rad, m/s.
        time_step: seconds between two points.
        stage_seconds: as in `ModelOutput`.
        score_type: what the scores are.
    """
    x, y, yaw, speed = (np.asarray(values, np.float32) for values in trajectories)
    score = np.asarray(scores, np.float32)
    candidates = TrajectoryCandidates(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        inference_stamp_ns=0,
        model_id=model_id,
        score_type=score_type,
        active_command=frame.command,
        degraded=frame.degraded,
        time_step=time_step,
        mode=np.arange(len(score), dtype=np.uint32),
        command=np.full(len(score), frame.command, np.uint8),
        score=score,
        x=x,
        y=y,
        yaw=yaw,
        speed=speed,
    )
    objects = ObjectPredictions(frame.stamp_ns, frame.frame_id, model_id, ())
    vector_map = VectorMap(frame.stamp_ns, frame.frame_id, model_id, ())
    return ModelOutput(candidates, objects, vector_map, stage_seconds)
