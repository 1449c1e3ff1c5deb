"""A short made-up recording: bags written with the package's own writer, numbers known."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distilldrive_ros.bags.qos import LATCHED_QOS
from distilldrive_ros.bags.typestore import message_types
from distilldrive_ros.bags.writer import BagWriter

START_NS = 1_700_000_000_000_000_000
STEP_NS = 500_000_000
SPEED = 4.0  # m/s, along x of the world
CAMERA = "CAM_FRONT"


def _make(kind: str, *values: Any, **named: Any) -> Any:
    return message_types().types[kind](*values, **named)


def header(stamp_ns: int, frame: str = "base_link") -> Any:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return _make("std_msgs/msg/Header", _make("builtin_interfaces/msg/Time", sec, nanosec), frame)


def pose(x: float, y: float = 0.0, z: float = 0.0, wxyz: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)) -> Any:
    w, *rest = wxyz
    return _make(
        "geometry_msgs/msg/Pose",
        _make("geometry_msgs/msg/Point", x, y, z),
        _make("geometry_msgs/msg/Quaternion", *rest, w),
    )


def path(stamp_ns: int, points: list[tuple[float, float]]) -> Any:
    poses = [
        _make("geometry_msgs/msg/PoseStamped", header(stamp_ns + (i + 1) * STEP_NS), pose(x, y))
        for i, (x, y) in enumerate(points)
    ]
    return _make("nav_msgs/msg/Path", header(stamp_ns), poses)


def plan(stamp_ns: int, offset: float, model_id: str, degraded: int = 0, selected: int = 0) -> Any:
    """Two candidates of 6 steps; the first runs `offset` metres to the left of the way driven."""
    driven = [(SPEED * 0.5 * (i + 1), offset) for i in range(6)]
    slow = [(0.5 * (i + 1), -1.0) for i in range(6)]
    return _make(
        "distilldrive_ros/msg/PathCandidates", header(stamp_ns), header(stamp_ns).stamp, model_id, 1, 2, degraded,
        selected, [path(stamp_ns, driven), path(stamp_ns, slow)], np.array([0.9, 0.2], np.float32),
        np.array([17, 3], np.uint32), np.array([2, 2], np.uint8), np.array([0, 16], np.uint16),
    )  # fmt: skip


def stats(stamp_ns: int, stages: dict[str, float], total: float, dropped: int = 0) -> Any:
    return _make(
        "distilldrive_ros/msg/InferenceStats", header(stamp_ns), "test@abc", "cpu", list(stages),
        np.array(list(stages.values()), np.float32), total, 0.1, dropped, 0, 0, 0,
    )  # fmt: skip


def health(stamp_ns: int, emitted: int) -> Any:
    values = [_make("diagnostic_msgs/msg/KeyValue", "emitted", str(emitted))]
    status = _make("diagnostic_msgs/msg/DiagnosticStatus", 0, "sensor_sync: sync", "fine", "", values)
    return _make("diagnostic_msgs/msg/DiagnosticArray", header(stamp_ns), [status])


def picture(width: int = 160, height: int = 90) -> np.ndarray:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 150)).save(stream, "JPEG")
    return np.frombuffer(stream.getvalue(), np.uint8)


def cloud(stamp_ns: int) -> Any:
    fields = [
        _make("sensor_msgs/msg/PointField", name, 4 * i, 7, 1) for i, name in enumerate(("x", "y", "z", "intensity"))
    ]
    points = np.array([[5, 1, -1, 9], [6, -2, 0, 9], [np.nan, 0, 0, 0]], np.float32)
    data = points.view(np.uint8).reshape(-1)
    return _make("sensor_msgs/msg/PointCloud2", header(stamp_ns, "LIDAR_TOP"), 1, 3, fields, False, 16, 48, data, False)


@dataclass
class Bags:
    source: Path
    plans: Path


@pytest.fixture
def make_bags(tmp_path: Path) -> Callable[..., Bags]:
    """Bags of a straight drive: `frames` key frames, a plan for those that `planned` says."""

    def make(
        frames: int = 4,
        planned: Callable[[int], bool] = lambda i: True,
        offset: float = 0.5,
        model_id: str = "test@abc",
        description: str = "a straight drive",
        image: np.ndarray | None = None,
    ) -> Bags:
        source, plans = tmp_path / "source", tmp_path / "plans"
        with BagWriter(source) as bag:
            _write_source(bag, frames, description, picture() if image is None else image)
            bag.set_custom_data("scene_name", "scene-test")
        with BagWriter(plans) as bag:
            bag.add_topic("/planner/paths", "distilldrive_ros/msg/PathCandidates")
            bag.add_topic("/perception_planning/stats", "distilldrive_ros/msg/InferenceStats")
            bag.add_topic("/recorder/ages", "distilldrive_ros/msg/InferenceStats")
            bag.add_topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray")
            for i in (i for i in range(frames) if planned(i)):
                at = START_NS + i * STEP_NS
                bag.write("/planner/paths", plan(at, offset, model_id, degraded=32 if i == 0 else 0), at)
                stages = {"prepare": 0.010 * (i + 1), "network": 0.1}
                bag.write("/perception_planning/stats", stats(at, stages, 0.12 + 0.01 * i, dropped=i), at)
                bag.write("/recorder/ages", stats(at, {"sensor_to_plan": 0.2}, 0.2), at)
                bag.write("/diagnostics", health(at, emitted=i + 1), at)
        return Bags(source, plans)

    return make


def _write_source(bag: BagWriter, frames: int, description: str, image: np.ndarray) -> None:
    for topic, kind in {
        "/odometry": "nav_msgs/msg/Odometry",
        "/sample_info": "distilldrive_ros/msg/SampleInfo",
        "/ground_truth/path": "nav_msgs/msg/Path",
        "/lidar/points": "sensor_msgs/msg/PointCloud2",
        f"/camera/{CAMERA}/image/compressed": "sensor_msgs/msg/CompressedImage",
        f"/camera/{CAMERA}/camera_info": "sensor_msgs/msg/CameraInfo",
    }.items():
        bag.add_topic(topic, kind)
    bag.add_topic("/tf_static", "tf2_msgs/msg/TFMessage", LATCHED_QOS)
    bag.write("/tf_static", _transforms(), START_NS)
    for i in range(frames):
        at = START_NS + i * STEP_NS
        twist = _make(
            "geometry_msgs/msg/TwistWithCovariance",
            _make("geometry_msgs/msg/Twist", _vector(SPEED), _vector(0.0)), np.zeros(36),
        )  # fmt: skip
        where = _make("geometry_msgs/msg/PoseWithCovariance", pose(SPEED * 0.5 * i), np.zeros(36))
        bag.write("/odometry", _make("nav_msgs/msg/Odometry", header(at, "odom"), "base_link", where, twist), at)
        info = ("v1.0-test", "scene-test", "s" * 32, f"sample{i}", i, description)
        bag.write("/sample_info", _make("distilldrive_ros/msg/SampleInfo", header(at), *info), at)
        left = frames - 1 - i
        bag.write("/ground_truth/path", path(at, [(SPEED * 0.5 * (k + 1), 0.0) for k in range(left)]), at)
        bag.write("/lidar/points", cloud(at), at)
        frame = f"{CAMERA}_optical"
        jpeg = _make("sensor_msgs/msg/CompressedImage", header(at - 20_000_000, frame), "jpeg", image)
        bag.write(f"/camera/{CAMERA}/image/compressed", jpeg, at - 20_000_000)
        bag.write(f"/camera/{CAMERA}/camera_info", _camera_info(at - 20_000_000, frame), at - 20_000_000)


def _vector(x: float) -> Any:
    return _make("geometry_msgs/msg/Vector3", x, 0.0, 0.0)


def _transforms() -> Any:
    def transform(child: str, x: float, z: float, xyzw: tuple[float, ...]) -> Any:
        turned = _make(
            "geometry_msgs/msg/Transform", _make("geometry_msgs/msg/Vector3", x, 0.0, z),
            _make("geometry_msgs/msg/Quaternion", *xyzw),
        )  # fmt: skip
        return _make("geometry_msgs/msg/TransformStamped", header(START_NS), child, turned)

    # Optical axes ahead: x right, y down, z forward.
    ahead = (-0.5, 0.5, -0.5, 0.5)
    listed = [transform(f"{CAMERA}_optical", 1.7, 1.5, ahead), transform("LIDAR_TOP", 0.9, 1.8, (0.0, 0.0, 0.0, 1.0))]
    return _make("tf2_msgs/msg/TFMessage", listed)


def _camera_info(stamp_ns: int, frame: str) -> Any:
    k = np.array([120.0, 0, 79.5, 0, 120.0, 44.5, 0, 0, 1])
    roi = _make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    p = np.array([120.0, 0, 79.5, 0, 0, 120.0, 44.5, 0, 0, 0, 1, 0])
    return _make(
        "sensor_msgs/msg/CameraInfo", header(stamp_ns, frame), 90, 160, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(),
        p, 0, 0, roi,
    )  # fmt: skip
