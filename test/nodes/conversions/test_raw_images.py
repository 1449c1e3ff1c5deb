"""Standard sensor messages into numbers."""

from __future__ import annotations

import array
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.scene.errors import SensorDataError

pytest.importorskip("sensor_msgs", reason="ROS messages are not installed")
sensor_messages = import_module("distilldrive_ros.nodes.conversions.raw_images")
message_inputs = import_module("distilldrive_ros.sync.message_inputs")
conftest = import_module("test.nodes.conftest")

KINDS = {"x": "<f4", "y": "<f4", "z": "<f4", "intensity": "<f4", "ring": "<u2", "t": "<u4", "tag": "<u1", "d": "<f8"}


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(list(KINDS)),
    wide=st.booleans(),
    padding=st.integers(0, 9),
    count=st.integers(0, 50),
    seed=st.integers(0, 2**31),
)
def test_any_order_width_and_padding_of_fields(order, wide, padding, count, seed):
    rng = np.random.default_rng(seed)
    kinds = {**KINDS, **({"x": "<f8", "intensity": "<u1"} if wide else {})}
    offsets, position = {}, padding
    for name in order:
        offsets[name] = position
        position += np.dtype(kinds[name]).itemsize + padding
    layout = np.dtype({"names": order, "formats": [kinds[n] for n in order], "offsets": list(offsets.values()),
                       "itemsize": position})  # fmt: skip
    rows = np.zeros(count, layout)
    for name in order:
        rows[name] = rng.integers(0, 100, count)
    found = message_inputs.point_cloud(conftest.cloud_message(5, rows))
    expected = np.stack([rows[n].astype(np.float32) for n in ("x", "y", "z", "intensity", "ring")], axis=-1)
    np.testing.assert_array_equal(found.points, expected.reshape(-1, 5))
    assert found.points.dtype == np.float32 and found.stamp_ns == 5 and not found.absent


def test_an_organised_cloud_with_padded_rows():
    rows = np.zeros((2, 3), [("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    rows["x"] = [[1, 2, 3], [4, 5, 6]]
    message = conftest.cloud_message(0, rows.reshape(-1))
    message.height, message.width, message.row_step = 2, 3, 50
    message.data = array.array("B", rows[0].tobytes() + b"\xff" * 14 + rows[1].tobytes() + b"\xff" * 14)
    assert message_inputs.point_cloud(message).points[:, 0].tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_bigendian": True}, "big-endian"),
        ({"width": 9}, "contradicts itself"),
        ({"point_step": 8}, "contradicts itself"),
        ({"data": array.array("B", b"")}, "0 bytes"),
    ],
)
def test_a_cloud_that_contradicts_itself_is_refused(change, words):
    message = conftest.cloud_message(0)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(SensorDataError, match=words):
        message_inputs.point_cloud(message)


def test_raw_images_in_every_encoding_become_rgb8():
    from distilldrive_ros.nodes.compat import cv_bridge

    message = conftest.raw_message("CAM_FRONT", 0, "bgr8", step=64 * 3 + 8)
    pixels = np.frombuffer(message.data, np.uint8).reshape(36, -1).copy()
    pixels[:, :192].reshape(36, 64, 3)[:] = (1, 2, 3)
    message.data = array.array("B", pixels.tobytes())
    image = sensor_messages.raw_image(message, cv_bridge.CvBridge())
    assert (image.encoding, image.width, image.height, image.data.size) == ("rgb8", 64, 36, 64 * 36 * 3)
    assert image.data[:3].tolist() == [3, 2, 1]
    grey = sensor_messages.raw_image(conftest.raw_message("CAM_FRONT", 0, "mono8"), cv_bridge.CvBridge())
    assert grey.data.reshape(36, 64, 3)[0, 0].tolist() == [90, 90, 90]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoding": "yuv422"}, "image encoding 'yuv422' is not supported"),
        ({"height": 35}, "instead of 6720"),
        ({"width": 0}, "image of 0 x 36"),
        ({"step": 100}, "has step 100"),
    ],
)
def test_a_raw_image_that_contradicts_itself_is_refused(change, words):
    from distilldrive_ros.nodes.compat import cv_bridge

    message = conftest.raw_message("CAM_FRONT", 0)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(SensorDataError, match=words):
        sensor_messages.raw_image(message, cv_bridge.CvBridge())


def test_calibration_takes_k_or_where_rectified_p():
    info = conftest.camera_info("CAM_FRONT", 0)
    assert message_inputs.calibration(info, False).intrinsics[0, 0] == 50.0
    info.p = [40.0, 0, 32.0, 0, 0, 40.0, 18.0, 0, 0, 0, 1.0, 0]
    info.d = [0.3]
    assert message_inputs.calibration(info, True).intrinsics[0, 0] == 40.0
    with pytest.raises(SensorDataError, match="distortion"):
        message_inputs.calibration(info, False)


@pytest.mark.parametrize(("field", "value", "words"), [("k", [0.0] * 9, "no intrinsics"), ("width", 0, "no image size"),
                                                      ("binning_x", 2, "binned or cropped")])  # fmt: skip
def test_an_unusable_camera_info_is_refused(field, value, words):
    info = conftest.camera_info("CAM_FRONT", 0)
    setattr(info, field, value)
    with pytest.raises(SensorDataError, match=words):
        message_inputs.calibration(info, False)


def test_odometry_numbers_and_their_refusals():
    message = conftest.odometry_message(conftest.START_NS + 1_000_000_000)
    ego = message_inputs.ego_motion(message, "base_link")
    assert (ego.speed, ego.world_frame, ego.world_from_base[0, 3]) == (8.0, "odom", 8.0)
    message.pose.pose.orientation.w = 0.0
    with pytest.raises(SensorDataError, match="quaternion of length 0"):
        message_inputs.ego_motion(message, "base_link")
    message.twist.twist.angular.z = float("nan")
    with pytest.raises(SensorDataError, match="not finite"):
        message_inputs.ego_motion(message, "base_link")
