"""A small scene to draw: six candidates, a few road users, a map, and a camera that looks forward."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, Degraded
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

STAMP_NS = 1_532_402_927_647_951_000


def make_candidate(mode: int, score: float, lateral: float = 0.0, invalid: int = 0, steps: int = 6) -> Candidate:
    """A straight candidate of 5 m/s that drifts to the left by `lateral` metres a step."""
    step = np.arange(1, steps + 1)
    positions = np.stack([2.5 * step, lateral * step], axis=1)
    yaw = np.full(steps, np.arctan2(lateral, 2.5))
    return Candidate(mode, Command.STRAIGHT, score, InvalidReason(invalid), 0.5, positions, yaw, None)


def make_plan(
    candidates: tuple[Candidate, ...], selected: int = 0, model_id: str = "student@0123456789ab"
) -> PlanCandidates:
    """A plan of these candidates."""
    return PlanCandidates(
        STAMP_NS,
        "base_link",
        STAMP_NS,
        model_id,
        ScoreType.SOFTMAX,
        Command.STRAIGHT,
        Degraded.NONE,
        selected,
        candidates,
    )


def make_object(box: list[float], class_id: str = "car", score: float = 0.9) -> ObjectPrediction:
    """A road user that moves forward at 2 m/s."""
    b = np.asarray(box, np.float64)
    future = (b[:2] + np.outer(np.arange(1, 7) * 0.5, [2.0, 0.0])).astype(np.float32)
    return ObjectPrediction(7, class_id, score, b, np.array([2.0, 0.0]), 0.5, np.ones(1, np.float32), future[None])


@pytest.fixture
def plan() -> PlanCandidates:
    """Five candidates: the selected one straight ahead, one invalid on the right."""
    return make_plan(
        (
            make_candidate(3, 0.5),
            make_candidate(1, 0.3, 0.5),
            make_candidate(0, 0.1, 1.0),
            make_candidate(4, 0.08, -0.5),
            make_candidate(5, 0.02, -1.0, invalid=InvalidReason.COLLISION),
        )
    )


@pytest.fixture
def objects() -> ObjectPredictions:
    """A car ahead on the left and a pedestrian ahead on the right."""
    items = (
        make_object([15.0, 4.0, 0.8, 4.5, 1.9, 1.6, 0.0]),
        make_object([10.0, -4.0, 0.9, 0.7, 0.7, 1.8, 0.3], "pedestrian"),
    )
    return ObjectPredictions(STAMP_NS, "base_link", "student@0123456789ab", items)


@pytest.fixture
def vector_map() -> VectorMap:
    """Two road edges and a crossing."""
    x = np.linspace(-30, 30, 20)
    edges = [
        MapPolyline(PolylineKind.BOUNDARY, 0.9, np.stack([x, np.full(20, y)], 1).astype(np.float32)) for y in (6, -5)
    ]
    crossing = np.array([[14, -5], [18, -5], [18, 5], [14, 5], [14, -5]], np.float32)
    return VectorMap(STAMP_NS, "base_link", "m@1", (*edges, MapPolyline(PolylineKind.CROSSING, 0.8, crossing)))


@pytest.fixture
def make_camera() -> Callable[..., CameraFrame]:
    """Makes a grey camera of 800 x 450 px, 1.5 m above base_link's origin and 1 m ahead, looking along its x axis."""

    def make(world_from_base: np.ndarray | None = None, **changes: object) -> CameraFrame:
        stream = io.BytesIO()
        Image.new("RGB", (800, 450), (100, 100, 100)).save(stream, "PNG")
        base_from_camera = np.eye(4)
        base_from_camera[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
        base_from_camera[:3, 3] = [1.0, 0.0, 1.5]
        values = {
            "name": "CAM_FRONT",
            "stamp_ns": STAMP_NS,
            "status": CameraStatus.FRESH,
            "encoding": "png",
            "width": 800,
            "height": 450,
            "data": np.frombuffer(stream.getvalue(), np.uint8),
            "intrinsics": np.array([[500.0, 0, 400], [0, 500.0, 225], [0, 0, 1]]),
            "base_from_camera": base_from_camera,
            "world_from_base": np.eye(4) if world_from_base is None else world_from_base,
        }
        return CameraFrame(**{**values, **changes})  # type: ignore[arg-type]

    return make
