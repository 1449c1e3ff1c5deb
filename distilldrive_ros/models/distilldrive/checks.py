"""What an engine checks of the student's arguments (shapes: `outputs.StudentInputs` and `state.StudentState`)."""

from __future__ import annotations

import torch

from distilldrive_ros.models.distilldrive.config import BOX_SIZE, STATUS_SIZE, DistillDriveConfig
from distilldrive_ros.models.distilldrive.outputs import StudentInputs
from distilldrive_ros.models.distilldrive.state import StudentState
from distilldrive_ros.models.tensor_checks import require_tensor

_Expected = dict[str, tuple[torch.Tensor, tuple[int, ...], torch.dtype]]


def check_inputs(inputs: StudentInputs, config: DistillDriveConfig, device: torch.device) -> None:
    """Raises ValueError, which names the argument, unless all tensors fit the configuration and lie on the device."""
    cameras = config.num_cameras
    images = inputs.images
    batch = images.shape[0] if images.dim() else 0
    real, precise = torch.float32, torch.float64
    expected: _Expected = {
        "images": (images, (batch, cameras, 3, config.image_height, config.image_width), real),
        "projection": (inputs.projection, (batch, cameras, 4, 4), real),
        "image_size": (inputs.image_size, (batch, cameras, 2), real),
        "timestamp": (inputs.timestamp, (batch,), precise),
        "world_from_lidar": (inputs.world_from_lidar, (batch, 4, 4), precise),
    }
    _require(expected, device)


def check_state(state: StudentState, batch: int, config: DistillDriveConfig, device: torch.device) -> None:
    """Raises ValueError, which names the part, unless the state is one of this configuration for `batch` streams."""
    if state.batch_size != batch:
        raise ValueError(f"state holds {state.batch_size} streams, inputs {batch}; start from state None")
    width, boxes, polylines = config.embed_dim, config.detection, config.map
    ego, points = config.motion.num_ego_tokens, 2 * polylines.num_points
    steps = min(max(state.queue.agent_box.shape[1], 1), config.motion.queue_length)
    detection, identity, lines, queue = state.detection, state.identity, state.map, state.queue
    real, precise, integer = torch.float32, torch.float64, torch.int64
    rows, kept, kept_lines = boxes.num_anchors, boxes.num_temporal, polylines.num_temporal
    expected: _Expected = {
        "timestamp": (state.timestamp, (batch,), precise),
        "world_from_lidar": (state.world_from_lidar, (batch, 4, 4), precise),
        "detection.feature": (detection.feature, (batch, kept, width), real),
        "detection.anchor": (detection.anchor, (batch, kept, BOX_SIZE), real),
        "detection.confidence": (detection.confidence, (batch, kept), real),
        "identity.ids": (identity.ids, (batch, rows), integer),
        "identity.next_id": (identity.next_id, (batch,), integer),
        "map.feature": (lines.feature, (batch, kept_lines, width), real),
        "map.anchor": (lines.anchor, (batch, kept_lines, points), real),
        "map.confidence": (lines.confidence, (batch, kept_lines), real),
        "queue.agent_feature": (queue.agent_feature, (batch, steps, rows, width), real),
        "queue.agent_box": (queue.agent_box, (batch, steps, rows, BOX_SIZE), real),
        "queue.period": (queue.period, (batch, rows), integer),
        "queue.ids": (queue.ids, (batch, rows), integer),
        "queue.confidence": (queue.confidence, (batch, rows), real),
        "queue.ego_feature": (queue.ego_feature, (batch, steps, ego, width), real),
        "queue.ego_box": (queue.ego_box, (batch, steps, ego, BOX_SIZE), real),
        "queue.ego_period": (queue.ego_period, (batch,), integer),
        "queue.status": (queue.status, (batch, STATUS_SIZE), real),
    }
    _require({f"state.{name}": value for name, value in expected.items()}, device)


def _require(expected: _Expected, device: torch.device) -> None:
    for name, (tensor, shape, dtype) in expected.items():
        require_tensor(name, tensor, shape, dtype, device)
