"""The student as ONNX graphs: one for the first frame of a drive, one for all later ones, with the memory between them.

Everything is explicit: what a frame needs and what it leaves behind are inputs and outputs by name. Output `next.X` of
a frame is input `state.X` of the following one, which also takes `elapsed` [1], seconds since that frame, and
`transform` [1, 4, 4], this frame's LiDAR coordinates from that one's. The aggregation is decomposed into GridSample and
sums. Opset `OPSET`; float32, int64 and bool only; batch 1; all shapes fixed.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.instance_queue import with_full_queue
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentInputs, StudentOutputs
from distilldrive_ros.models.distilldrive.state import StudentState, named_tensors
from distilldrive_ros.models.ops.deformable_aggregation.grid_sample_form import grid_sample_form
from distilldrive_ros.scene.errors import ConfigurationError

OPSET = 18
PACKAGES = ("onnx", "onnxscript")
FIRST = ".first"
_TALKERS = ("onnxscript", "onnx_ir", "torch.onnx", "torch.export")
_STATE, _NEXT = "state.", "next."
# Belong to the world's clock and frame: the step's inputs stand in for them.
_WORLD = ("timestamp", "world_from_lidar")


@dataclass(frozen=True)
class ExportedFile:
    """A written graph and its inputs and outputs in order: name -> shape."""

    path: Path
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]


def published(outputs: StudentOutputs) -> dict[str, Tensor]:
    """What a planner reads, by output name; of the decoders the last one's."""
    detection, polylines, motion = outputs.detection, outputs.map, outputs.motion
    quality = detection.quality[-1]
    assert quality is not None
    return {
        "boxes": detection.anchors[-1],
        "box_logits": detection.logits[-1],
        "box_quality": quality,
        "ids": outputs.ids,
        "polylines": polylines.anchors[-1],
        "polyline_logits": polylines.logits[-1],
        "motion_logits": motion.motion_logits,
        "motion_offsets": motion.motion_offsets,
        "plan_logits": motion.plan_logits,
        "plan_offsets": motion.plan_offsets,
        "status": motion.status,
    }


class _Frame(nn.Module):
    """One frame with tensors alone: `forward(*inputs)` -> published tensors, then those of the next state."""

    def __init__(self, network: StudentNetwork, like: StudentState | None) -> None:
        super().__init__()
        self.network = network
        self._like = like

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Inputs in the order of their names, see the module."""
        return tuple(self.named(*inputs).values())

    def named(self, images: Tensor, projection: Tensor, image_size: Tensor, *memory: Tensor) -> dict[str, Tensor]:
        """As `forward`, results by name."""
        state, now, still = None, torch.zeros(1), torch.eye(4)[None]
        if self._like is not None:
            # As seen from now: the last frame was `elapsed` seconds ago, its LiDAR frame is at `transform`.
            elapsed, transform, *rest = memory
            state = _filled(self._like, iter([-elapsed, transform, *rest]))
        inputs = StudentInputs(images, projection, image_size, now, still)
        levels = self.network.extract_features(images)
        sizes = [(level.shape[-2], level.shape[-1]) for level in levels]
        following, outputs = self.network.decode_features(state, levels, inputs, aggregate=grid_sample_form(sizes))
        memory_left = remembered(following, self.network)
        return {**published(outputs), **{_NEXT + name: tensor for name, tensor in memory_left.items()}}


def remembered(state: StudentState, network: StudentNetwork) -> dict[str, Tensor]:
    """Tensors of a state by name, without time and pose; the queue padded to its full length."""
    full = with_full_queue(state, network.config.motion.queue_length)
    return {name: tensor for name, tensor in named_tensors(full).items() if name not in _WORLD}


def _filled(like: Any, tensors: Iterator[Tensor]) -> Any:
    """A copy of nested dataclasses with these tensors in declaration order."""
    values = {}
    for item in fields(like):
        value = getattr(like, item.name)
        values[item.name] = _filled(value, tensors) if is_dataclass(value) else next(tensors)
    return type(like)(**values)


def exported_paths(path: Path) -> tuple[Path, Path]:
    """Files that an export to `path` writes: the first frame's, and `path` itself."""
    return path.with_name(f"{path.stem}{FIRST}{path.suffix}"), path


def export_student(network: StudentNetwork, path: Path) -> tuple[ExportedFile, ExportedFile]:
    """Write `<stem>.first<suffix>` (the first frame after a start or a gap) and `path` (every later frame).

    The network must be in evaluation mode on the CPU; its noise is 0, as when it drives.

    Raises:
        ConfigurationError: packages that exporting needs are missing, or a file cannot be written.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"exporting needs {', '.join(missing)}; install them: pip install 'distilldrive_ros[export]', or by name"
        )
    config = network.config
    images = torch.zeros(1, config.num_cameras, 3, config.image_height, config.image_width)
    size = torch.tensor([config.image_width, config.image_height], dtype=torch.float32)
    inputs = {
        "images": images,
        "projection": torch.eye(4).expand(1, config.num_cameras, 4, 4).clone(),
        "image_size": size.expand(1, config.num_cameras, 2).clone(),
    }
    first = _write(_Frame(network, None), inputs, exported_paths(path)[0])
    with torch.no_grad():
        still = torch.eye(4)[None]
        start = StudentInputs(images, inputs["projection"], inputs["image_size"], torch.zeros(1), still)
        state, _ = network.decode_features(None, network.extract_features(images), start)
    memory = remembered(state, network)
    inputs.update({"elapsed": torch.full((1,), config.default_time_interval), "transform": torch.eye(4)[None]})
    inputs.update({_STATE + name: tensor for name, tensor in memory.items()})
    return first, _write(_Frame(network, state), inputs, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of every operator that it could not simplify; nothing of that is for users."""
    loggers = [logging.getLogger(name) for name in _TALKERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _write(frame: _Frame, inputs: dict[str, Tensor], path: Path) -> ExportedFile:
    """Trace a frame and write it; the file appears whole or not at all."""
    with torch.no_grad():
        outputs = frame.named(*inputs.values())
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _quiet(), torch.no_grad():
            torch.onnx.export(
                frame,
                tuple(inputs.values()),
                partial,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}; choose another file") from error
    finally:
        partial.unlink(missing_ok=True)
    shapes = [{name: tuple(tensor.shape) for name, tensor in some.items()} for some in (inputs, outputs)]
    return ExportedFile(path, *shapes)
