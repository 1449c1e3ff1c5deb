"""A training batch as the teacher sees it."""

from __future__ import annotations

from distilldrive_ros.models.teacher.config import TeacherConfig
from distilldrive_ros.models.teacher.processor import FrameAnnotations, prepare_annotations
from distilldrive_ros.models.teacher.state import TeacherInputs
from distilldrive_ros.training.batch import TrainingBatch


def teacher_inputs(batch: TrainingBatch, config: TeacherConfig) -> TeacherInputs:
    """Annotations of all streams; of a polyline the first ordering. Raises SensorDataError as the teacher does."""
    frames = [
        FrameAnnotations(
            agents.boxes,
            agents.labels,
            agents.instance_ids,
            agents.offsets,
            agents.valid,
            lines.orderings[:, 0],
            lines.labels,
        )
        for agents, lines in zip(batch.agents, batch.maps, strict=True)
    ]
    return prepare_annotations(batch.timestamp, batch.world_from_lidar, frames, config)
