"""Raw images in, numbers out; all other sensor messages are read by `sync.message_inputs`, which needs no ROS."""

from __future__ import annotations

from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from distilldrive_ros.messages.fields import stamp_ns
from distilldrive_ros.nodes.compat import cv_bridge
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.sync.message_inputs import CameraImage

RAW_CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1}


def raw_image(message: Image, bridge: Any) -> CameraImage:
    """A raw image as rgb8.

    Args:
        message: rgb8, bgr8 or mono8.
        bridge: a `CvBridge`.

    Raises:
        SensorDataError: another encoding, or size, step and data contradict each other.
    """
    if message.encoding not in RAW_CHANNELS:
        raise SensorDataError(
            f"image encoding {message.encoding!r} is not supported; let the driver send {', '.join(RAW_CHANNELS)}, "
            "or JPEG on image/compressed"
        )
    row = message.width * RAW_CHANNELS[message.encoding]
    if message.width == 0 or message.height == 0 or message.step < row:
        raise SensorDataError(
            f"image of {message.width} x {message.height} {message.encoding} has step {message.step}; it must be at "
            f"least {row}: the driver fills width, height, step or encoding wrongly"
        )
    if len(message.data) != message.height * message.step:
        raise SensorDataError(
            f"image of {message.width} x {message.height} {message.encoding} holds {len(message.data)} bytes instead "
            f"of {message.height * message.step}; the driver fills height or step wrongly"
        )
    try:
        pixels = bridge.imgmsg_to_cv2(message, "rgb8")
    except cv_bridge.CvBridgeError as error:
        raise SensorDataError(f"image cannot be converted to rgb8: {error}") from error
    flat = np.ascontiguousarray(pixels).reshape(-1)
    return CameraImage(stamp_ns(message.header.stamp), "rgb8", message.width, message.height, flat)
