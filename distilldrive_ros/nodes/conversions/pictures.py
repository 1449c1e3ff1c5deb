"""Pictures for people as messages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from distilldrive_ros.nodes.conversions.factory import ROS


def picture_message(pixels: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Image:
    """`Image` message, rgb8, of pixels (H, W, 3)."""
    height, width = pixels.shape[:2]
    return Image(
        header=ROS.header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=ROS.numbers(pixels.ravel(), np.uint8),
    )
