"""Dataclasses to messages and back: nothing is lost, and big arrays are not copied on the way back."""

from __future__ import annotations

import array
import dataclasses

import numpy as np
import pytest

pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")

from distilldrive_ros.geometry.poses import planar_pose
from distilldrive_ros.messages.fields import stamp_ns
from distilldrive_ros.nodes import conversions
from distilldrive_ros.nodes.conversions.factory import ROS
from distilldrive_ros.nodes.conversions.poses import pose_matrix, transform_message
from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.scene.candidates import ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.inference_stats import InferenceStats
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sample_info import DrivingCommand, SampleInfo
from distilldrive_ros.scene.sensor_frame import (
    CameraFrame,
    CameraStatus,
    Degraded,
    Discontinuity,
    EgoStatus,
    LidarFrame,
    SensorFrame,
)
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

NOW = 1_532_402_927_647_951_123
rng = np.random.default_rng(3)


def ego():
    return EgoStatus(NOW, "base_link", NOW - 5, 8.0, 0.1, -0.2, 0.5, float("nan"), float("nan"))


def sensor_frame(lidar=True):
    cameras = tuple(
        CameraFrame(
            name=name,
            stamp_ns=NOW - 7,
            status=CameraStatus.HELD,
            encoding="jpeg",
            width=64,
            height=36,
            data=rng.integers(0, 255, 1000, dtype=np.uint8),
            intrinsics=np.arange(9.0).reshape(3, 3),
            base_from_camera=planar_pose(1, 2, 0.3),
            world_from_base=planar_pose(100, 200, 1.3),
        )
        for name in ("CAM_FRONT", "CAM_BACK")
    )
    points = rng.normal(size=(100, 5)).astype(np.float32)
    sweep = LidarFrame("LIDAR_TOP", NOW, points, planar_pose(1, 0, 0), planar_pose(0, 0, 1)) if lidar else None
    return SensorFrame(
        NOW, "base_link", 12, Degraded.CAMERA_HELD, Discontinuity.GAP, Command.LEFT, "odom", planar_pose(3, 4, 0.5),
        cameras, sweep, ego(),
    )  # fmt: skip


def candidates(speed=True):
    x = np.tile(np.arange(1, 7, dtype=np.float32) * 4, (3, 1))
    return TrajectoryCandidates(
        stamp_ns=NOW, frame_id="base_link", inference_stamp_ns=NOW + 9, model_id="m@1", score_type=ScoreType.RESCORED,
        active_command=Command.STRAIGHT, degraded=Degraded.NO_HISTORY, time_step=0.5,
        mode=np.array([4, 5, 6], np.uint32), command=np.array([2, 2, 0], np.uint8),
        score=np.array([0.2, 0.5, 0.9], np.float32), x=x, y=np.zeros_like(x), yaw=np.full_like(x, 0.1),
        speed=np.full_like(x, 8.0) if speed else None,
    )  # fmt: skip


def objects():
    item = ObjectPrediction(
        7, "car", 0.75, np.array([1.0, 2, 0.5, 4, 2, 1.5, 0.7]), np.array([3.0, -1.0]), 0.5,
        np.array([0.25, 0.75], np.float32), rng.normal(size=(2, 12, 2)).astype(np.float32),
    )  # fmt: skip
    none = dataclasses.replace(
        item, id=8, mode_scores=np.zeros(0, np.float32), mode_xy=np.zeros((0, 12, 2), np.float32)
    )
    return ObjectPredictions(NOW, "base_link", "ground_truth", (item, none))


def vector_map():
    lines = tuple(MapPolyline(kind, 0.5, rng.normal(size=(9, 2)).astype(np.float32)) for kind in PolylineKind)
    return VectorMap(NOW, "base_link", "m@1", lines)


STATS = InferenceStats(NOW, "base_link", "m@1", "cpu", ("a", "b"), (0.5, 0.25), 1.0, 0.125, 1, 2, 3, 4)
INFO = SampleInfo(NOW, "base_link", "v1.0-mini", "scene-0061", "t1", "t2", 3, "a turn")

CASES = {
    "sensor_frame": sensor_frame(),
    "sensor_frame without lidar": sensor_frame(lidar=False),
    "candidates": candidates(),
    "candidates without speed": candidates(speed=False),
    "objects": objects(),
    "vector_map": vector_map(),
    "command": DrivingCommand(NOW, "base_link", Command.RIGHT),
    "sample_info": INFO,
    "inference_stats": STATS,
    "ego_status": ego(),
}


def assert_equal(a, b):
    """Equal to the last bit, whatever the nesting."""
    assert type(a) is type(b)
    if dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_equal(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b or (a != a and b != b)


@pytest.mark.parametrize("name", list(CASES))
def test_there_and_back(name):
    value = CASES[name]
    word = name.split(" ")[0]
    message = getattr(conversions, f"{word}_to_message")(value)
    back = getattr(conversions, f"{word}_from_message")(message)
    if word == "objects":  # headings go through a quaternion
        for a, b in zip(value.objects, back.objects, strict=True):
            np.testing.assert_allclose(a.box, b.box, atol=1e-12)
        back = dataclasses.replace(
            back,
            objects=tuple(dataclasses.replace(b, box=a.box) for a, b in zip(value.objects, back.objects, strict=True)),
        )
    assert_equal(value, back)


@pytest.mark.parametrize("name", list(CASES))
def test_over_the_wire(name):
    from rclpy.serialization import deserialize_message, serialize_message

    word = name.split(" ")[0]
    message = getattr(conversions, f"{word}_to_message")(CASES[name])
    again = deserialize_message(serialize_message(message), type(message))
    assert_equal(
        getattr(conversions, f"{word}_from_message")(message), getattr(conversions, f"{word}_from_message")(again)
    )


def test_graph_and_bag_say_the_same():
    from rclpy.serialization import serialize_message

    from distilldrive_ros.bags.typed_messages import BAG, serialised
    from distilldrive_ros.bags.typestore import message_types
    from distilldrive_ros.messages.plans import plan_to_message
    from distilldrive_ros.messages.scene_elements import objects_to_message

    planned, found = plan(candidates(), PlanningLimits(), 8.0), objects()
    for here, recorded, name in (
        (conversions.plan_to_message(planned), plan_to_message(BAG, planned), "PathCandidates"),
        (conversions.objects_to_message(found), objects_to_message(BAG, found), "ObjectPredictions"),
    ):
        kind = f"distilldrive_ros/msg/{name}"
        sent = message_types().deserialize_cdr(serialize_message(here), kind)
        assert serialised(sent, kind) == serialised(recorded, kind)  # bytes of padding are any that rclpy finds


def test_a_plan_keeps_points_headings_scores_and_times():
    result = plan(candidates(), PlanningLimits(), 8.0)
    message = conversions.plan_to_message(result)
    back = conversions.plan_from_message(message)
    assert (back.selected, back.modes, back.commands) == (0, (5, 4), (Command.STRAIGHT, Command.STRAIGHT))
    np.testing.assert_allclose(back.scores, result.scores)
    for a, b in zip(result.candidates, back.candidates, strict=True):
        np.testing.assert_allclose(a.positions, b.positions)
        np.testing.assert_allclose(a.yaw, b.yaw, atol=1e-12)
        assert b.time_step == pytest.approx(a.time_step)
    times = [stamp_ns(p.header.stamp) - NOW for p in message.paths[0].poses]
    assert times == [500_000_000 * (i + 1) for i in range(6)]


def test_big_fields_are_arrays_and_views_not_copies():
    message = conversions.sensor_frame_to_message(sensor_frame())
    assert isinstance(message.cameras[0].data, array.array)
    assert isinstance(message.lidar[0].points, array.array)
    back = conversions.sensor_frame_from_message(message)
    assert np.shares_memory(back.cameras[0].data, np.frombuffer(message.cameras[0].data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        back.lidar.points[0, 0] = 1.0


def test_messages_that_contradict_themselves_are_refused():
    message = conversions.candidates_to_message(candidates())
    message.num_steps = 7
    with pytest.raises(SensorDataError, match=r"x holds 18 numbers where its counts say \(3, 7\)"):
        conversions.candidates_from_message(message)
    command = conversions.command_to_message(CASES["command"])
    command.command = 9
    with pytest.raises(SensorDataError, match="9 is no driving command"):
        conversions.command_from_message(command)
    paths = conversions.plan_to_message(plan(candidates(), PlanningLimits()))
    paths.scores = array.array("f", [1.0])
    with pytest.raises(SensorDataError, match="differ in length"):
        conversions.plan_from_message(paths)


def test_stamps_and_transforms():
    assert stamp_ns(ROS.time(NOW)) == NOW
    pose = planar_pose(1, 2, 3)
    message = transform_message(NOW, "odom", "base_link", pose)
    assert (message.header.frame_id, message.child_frame_id) == ("odom", "base_link")
    np.testing.assert_allclose(pose_matrix(message.transform), pose, atol=1e-12)
