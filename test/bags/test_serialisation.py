"""Messages that are assembled by hand must equal what the general serialiser writes, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.bags.cdr_templates import MessageTemplate, placeholder_numbers, placeholder_stamp_ns
from distilldrive_ros.bags.object_cdr import (
    GROUND_TRUTH,
    OBJECT_PREDICTIONS,
    empty_object_predictions,
    object_predictions_cdr,
)
from distilldrive_ros.bags.sensor_messages import odometry_template
from distilldrive_ros.bags.truth_messages import path_cdr
from distilldrive_ros.bags.typed_messages import BAG
from distilldrive_ros.bags.typestore import message_types
from distilldrive_ros.scene.objects import CLASS_NAMES


@settings(max_examples=60, deadline=None)
@given(
    classes=st.lists(st.integers(0, 9), max_size=12),
    frame=st.text("abc_", min_size=1, max_size=12),
    steps=st.integers(1, 13),
)
def test_object_predictions(classes, frame, steps):
    """Every class name and frame name shifts the alignment of all that follows."""
    count = len(classes)
    rng = np.random.default_rng(count)
    geometry, futures = rng.normal(0, 30, (count, 13)), rng.normal(0, 30, (count, steps, 2)).astype(np.float32)
    ids = rng.integers(0, 2**32, count)
    head = BAG.header(1_600_000_000_123_456_789, frame)
    ours = object_predictions_cdr(empty_object_predictions(head), np.array(classes, int), ids, geometry, futures)
    objects = [
        BAG.make(
            "distilldrive_ros/msg/ObjectPrediction", id=int(i), class_id=CLASS_NAMES[c], score=1.0,
            pose=BAG.pose(g[:3], g[3:7]), size=BAG.vector(g[7:10]), velocity=BAG.vector(g[10:]),
            time_step=0.5, num_modes=1, num_steps=steps, mode_scores=np.ones(1, np.float32), mode_xy=f.reshape(-1),
        )
        for i, c, g, f in zip(ids, classes, geometry, futures, strict=True)
    ]  # fmt: skip
    message = BAG.make(OBJECT_PREDICTIONS, header=head, model_id=GROUND_TRUTH, objects=objects)
    assert ours == bytes(message_types().serialize_cdr(message, OBJECT_PREDICTIONS))


@pytest.mark.parametrize("points", [0, 1, 2, 12])
def test_path(points):
    rng = np.random.default_rng(points)
    stamps = 1_600_000_000_000_000_000 + np.arange(1, points + 1) * 500_000_000
    translations, rotations = rng.normal(0, 9, (points, 3)), rng.normal(0, 1, (points, 4))
    ours = path_cdr(1_600_000_000_000_000_000, stamps, translations, rotations)
    unit = rotations / np.linalg.norm(rotations, axis=1, keepdims=True)
    poses = [
        BAG.make(
            "geometry_msgs/msg/PoseStamped",
            header=BAG.header(int(s), "base_link"),
            pose=BAG.pose(t, [*r[1:], r[0]]),
        )
        for s, t, r in zip(stamps, translations, unit, strict=True)
    ]
    message = BAG.make("nav_msgs/msg/Path", header=BAG.header(1_600_000_000_000_000_000, "base_link"), poses=poses)
    store = message_types()
    found = store.deserialize_cdr(bytes(ours), "nav_msgs/msg/Path")
    assert len(ours) == len(store.serialize_cdr(message, "nav_msgs/msg/Path"))
    for a, b in zip(found.poses, message.poses, strict=True):
        assert a.header == b.header
        assert [a.pose.orientation.w, a.pose.position.z] == pytest.approx([b.pose.orientation.w, b.pose.position.z])


def test_odometry_template():
    values, twist = [1.5, 2.0, 3.0, 0.0, 0.0, 0.6, 0.8], [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    store = message_types()
    for known in (True, False):
        cdr = odometry_template(known).fill([12_000_000_034], values, twist)
        found = store.deserialize_cdr(bytes(cdr), "nav_msgs/msg/Odometry")
        assert (found.header.stamp.sec, found.header.stamp.nanosec) == (12, 34)
        p, q, v = found.pose.pose.position, found.pose.pose.orientation, found.twist.twist
        assert [p.x, p.y, p.z, q.x, q.y, q.z, q.w] == values
        assert [v.linear.x, v.linear.y, v.linear.z, v.angular.x, v.angular.y, v.angular.z] == twist
        assert found.twist.covariance.any() == (not known)


def test_template_without_its_placeholders_is_refused():
    message = BAG.make("builtin_interfaces/msg/Time", sec=1, nanosec=2)
    with pytest.raises(ValueError, match="0 times"):
        MessageTemplate(message, "builtin_interfaces/msg/Time")
    with pytest.raises(ValueError, match="0 times"):
        MessageTemplate(BAG.time(placeholder_stamp_ns(0)), "builtin_interfaces/msg/Time", [2])


def test_placeholders_differ():
    marks = [v for group in range(13) for v in placeholder_numbers(group, 7)]
    assert len(set(marks)) == len(marks)
    assert len({placeholder_stamp_ns(i) for i in range(13)}) == 13
