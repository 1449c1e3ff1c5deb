"""Overlay topics of the cameras: compressed and raw, each drawn only while somebody listens."""

from __future__ import annotations

import array
import io
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from distilldrive_ros.nodes.compat import cv_bridge
from distilldrive_ros.nodes.conversions.factory import ROS
from distilldrive_ros.nodes.running import qos

# RViz and rqt listen reliably or not, as they like: a reliable offer serves both.
_DEPTH = 2


class OverlayPublisher:
    """`~/overlay/<NAME>/compressed` and `~/overlay/<NAME>` of one camera."""

    def __init__(self, node: Node, camera: str) -> None:
        """Offer both topics on a node."""
        self.camera = camera
        options: dict[str, Any] = {"qos_overriding_options": qos.overridable()}
        topic = f"~/overlay/{camera}"
        self._compressed = node.create_publisher(
            CompressedImage, f"{topic}/compressed", qos.reliable(_DEPTH), **options
        )
        self._raw = node.create_publisher(Image, topic, qos.reliable(_DEPTH), **options)
        self._bridge = cv_bridge.CvBridge()

    @property
    def wanted(self) -> bool:
        """Whether anybody listens."""
        return bool(self._compressed.get_subscription_count() or self._raw.get_subscription_count())

    def publish(self, picture: PillowImage.Image, stamp_ns: int, jpeg_quality: int) -> None:
        """Send an RGB picture, stamped with the plan's time, in the camera's optical frame."""
        header = ROS.header(stamp_ns, f"{self.camera}_optical")
        if self._compressed.get_subscription_count():
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=jpeg_quality)
            data = array.array("B", stream.getvalue())
            self._compressed.publish(CompressedImage(header=header, format="rgb8; jpeg compressed bgr8", data=data))
        if self._raw.get_subscription_count():
            message = self._bridge.cv2_to_imgmsg(np.asarray(picture), encoding="rgb8", header=header)
            self._raw.publish(message)
