"""The published teacher on the reference weights, and its recorded streams."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.teacher.config import Flavour, TeacherConfig, teacher
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.teacher.processor import FrameAnnotations, prepare_annotations
from distilldrive_ros.models.teacher.state import TeacherInputs

InputsFactory = Callable[..., TeacherInputs]
WEIGHT_TABLES = {Flavour.LABEL: "stage2", Flavour.DISTRIBUTION: "stage0_distribution"}


@pytest.fixture(scope="session")
def reference_teacher(distilldrive_rules: ModuleType, distilldrive_golden: Any) -> Callable[[Flavour], TeacherNetwork]:
    """Full-size teacher filled by the weight rule."""

    def make(flavour: Flavour) -> TeacherNetwork:
        table = distilldrive_rules.read_table(distilldrive_golden / "statedict.txt", WEIGHT_TABLES[flavour])
        table = {key: shape for key, shape in table.items() if key.startswith(TEACHER_PREFIX)}
        weights = {
            key.removeprefix(TEACHER_PREFIX): torch.from_numpy(np.asarray(value))
            for key, value in distilldrive_rules.state_dict(table)
        }
        network = TeacherNetwork(TeacherConfig(flavour=flavour))
        network.load_state_dict(weights, strict=True)
        return network.eval()

    return make


@pytest.fixture(scope="session")
def recorded_inputs(distilldrive_rules: ModuleType) -> InputsFactory:
    """Annotations of frame t of a recorded stream; `line_shift` in metres moves all polylines."""

    def make(
        t: int, delay: float = 0.0, masked: bool = False, moving: int | None = None, line_shift: float = 0.0
    ) -> TeacherInputs:
        frame = distilldrive_rules.frame(t, delay=delay)
        truth = distilldrive_rules.ground_truth(masked=masked, moving=moving)
        names = ("gt_bboxes_3d", "gt_labels_3d", "instance_id", "gt_agent_fut_trajs", "gt_agent_fut_masks")
        agents = (torch.from_numpy(np.asarray(truth[name])) for name in names)
        lines = torch.from_numpy(truth["gt_map_pts"])[:, 0] + line_shift
        annotations = FrameAnnotations(*agents, lines, torch.from_numpy(truth["gt_map_labels"]))
        time, pose = (torch.from_numpy(frame[name]) for name in ("timestamp", "T_global"))
        return prepare_annotations(time, pose, [annotations], teacher())

    return make
