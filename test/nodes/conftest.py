"""A small vehicle that drives straight on over real rclpy and Fast DDS, and ears for what the graph says.

Fixture `drive`: two cameras, a LiDAR, odometry, command and transforms as messages; `drive.spin_until` with a deadline
in place of sleeps. Needs rclpy and the built messages; else the tests skip.
"""

from __future__ import annotations

import array
import io
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RIG = """
anchor: LIDAR_TOP
cameras:
  - {name: CAM_FRONT, frame: CAM_FRONT_optical, offset_ms: -36.0, tolerance_ms: 50.0}
  - {name: CAM_BACK, frame: CAM_BACK_optical, offset_ms: -11.0, tolerance_ms: 50.0}
lidar: {name: LIDAR_TOP, frame: LIDAR_TOP}
"""
CAMERAS = {"CAM_FRONT": -36_000_000, "CAM_BACK": -11_000_000}
WIDTH, HEIGHT = 64, 36
SPEED = 8.0
START_NS = 1_532_402_927_600_000_000
STEP_NS = 500_000_000
DEADLINE_S = 60.0


def jpeg(width: int = WIDTH, height: int = HEIGHT, shade: int = 90) -> bytes:
    """A small grey JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (width, height), (shade, shade, shade)).save(stream, "JPEG")
    return stream.getvalue()


class Drive:
    """Sends the messages of a drive and collects the graph's."""

    def __init__(self, context: Any, rig: Path) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from nav_msgs.msg import Odometry
        from nav_msgs.msg import Path as PathMessage
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
        from tf2_msgs.msg import TFMessage

        from distilldrive_ros import msg
        from distilldrive_ros.nodes.running import qos

        self.context, self.rig = context, rig
        self.nodes: list[Any] = []
        self.executor = SingleThreadedExecutor(context=context)
        self.node = rclpy.create_node("driver", context=context)
        self.executor.add_node(self.node)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self._sensor = qos.sensor("reliable", 20)
        self.publishers = {
            "tf_static": self.node.create_publisher(TFMessage, "/tf_static", qos.latched()),
            "lidar": self.node.create_publisher(PointCloud2, "lidar/points", self._sensor),
            "odometry": self.node.create_publisher(Odometry, "odometry", self._sensor),
            "command": self.node.create_publisher(msg.DrivingCommand, "command", self._sensor),
            "sample_info": self.node.create_publisher(msg.SampleInfo, "sample_info", self._sensor),
        }
        for name in CAMERAS:
            base = f"camera/{name}"
            create = self.node.create_publisher
            self.publishers[f"{name}/jpeg"] = create(CompressedImage, f"{base}/image/compressed", self._sensor)
            self.publishers[f"{name}/raw"] = create(Image, f"{base}/image_raw", self._sensor)
            self.publishers[f"{name}/info"] = create(CameraInfo, f"{base}/camera_info", self._sensor)
        for topic, kind in (
            ("sensor_sync/frame", msg.SensorFrame),
            ("perception_planning/candidates", msg.TrajectoryCandidates),
            ("perception_planning/stats", msg.InferenceStats),
            ("planner/paths", msg.PathCandidates),
            ("planner/path", PathMessage),
            ("planner/candidate_0", PathMessage),
            ("/diagnostics", DiagnosticArray),
        ):
            keep = self.received[topic].append
            self.node.create_subscription(kind, topic, keep, qos.reliable(100))

    def add(self, node: Any) -> Any:
        """Spin a node too; it is closed and destroyed at the end."""
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def sensor_sync(self, **parameters: Any) -> Any:
        """A `sensor_sync` node with the small rig."""
        from distilldrive_ros.nodes.sensing.sensor_sync_node import SensorSyncNode

        values = {
            "rig": str(self.rig),
            "diagnostics_period_s": 0.1,
            "camera_timeout_s": 30.0,
            "odometry_timeout_s": 30.0,
        }
        return self.add(SensorSyncNode(**self.arguments({**values, **parameters})))

    def perception_planning(self, **parameters: Any) -> Any:
        """A `perception_planning` node with a baseline model."""
        from distilldrive_ros.nodes.planning.perception_planning_node import PerceptionPlanningNode

        values = {"diagnostics_period_s": 0.1, "plan_timeout_s": 30.0}
        return self.add(PerceptionPlanningNode(**self.arguments({**values, **parameters})))

    def planner(self, **parameters: Any) -> Any:
        """A `planner` node."""
        from distilldrive_ros.nodes.planning.planner_node import PlannerNode

        values = {"diagnostics_period_s": 0.1, "plan_timeout_s": 30.0}
        return self.add(PlannerNode(**self.arguments({**values, **parameters})))

    def arguments(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments for a node of this drive's context."""
        from rclpy.parameter import Parameter

        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        return {"context": self.context, "parameter_overrides": overrides}

    def spin_until(self, condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
        """Spin until the condition holds; fails with `what` and the last diagnostics at the deadline."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout_s:.0f} s: {what}; last diagnostics: {self.statuses()}")
            self.executor.spin_once(timeout_sec=0.02)

    def statuses(self) -> dict[str, tuple[int, str]]:
        """Newest level and message by status name."""
        newest = {}
        for report in self.received["/diagnostics"]:
            for status in report.status:
                newest[status.name] = (int.from_bytes(status.level, "little"), status.message)
        return newest

    def wait_for_status(self, name: str, level: int, text: str) -> str:
        """Spin until a report since the last set shows that level and a message with the text; returns the message."""
        reports = self.received["/diagnostics"]
        found: list[str] = []

        def shown() -> bool:
            for report in reports:
                for status in report.status:
                    if status.name == name and status.level == bytes([level]) and text in status.message:
                        found.append(status.message)
            return bool(found)

        self.spin_until(shown, f"{name} at level {level} with {text!r}")
        return found[0]

    def connect(self) -> None:
        """Wait until `sensor_sync` hears us on every topic and has taken transforms and calibrations."""
        sync = next(node for node in self.nodes if node.get_name() == "sensor_sync")
        kind = "raw" if sync.count_subscribers("camera/CAM_FRONT/image_raw") else "jpeg"
        names = ["lidar", "odometry", "command", "sample_info", *(f"{c}/{k}" for c in CAMERAS for k in (kind, "info"))]
        self.spin_until(
            lambda: all(self.publishers[name].get_subscription_count() for name in names), "discovery of the topics"
        )
        self.send_calibration()
        self.spin_until(lambda: sync.calibrated, "calibration of every sensor")

    def send_calibration(self, stamp_ns: int = START_NS) -> None:
        """`/tf_static` and one camera_info per camera."""
        from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
        from tf2_msgs.msg import TFMessage

        from distilldrive_ros.nodes.conversions.factory import ROS

        forward = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
        backward = Quaternion(x=-0.5, y=-0.5, z=0.5, w=0.5)
        places = {
            "CAM_FRONT_optical": ((1.7, 0.0, 1.5), forward),
            "CAM_BACK_optical": ((0.0, 0.0, 1.5), backward),
            "LIDAR_TOP": ((0.9, 0.0, 1.8), Quaternion(w=1.0)),
        }
        transforms = [
            TransformStamped(
                header=ROS.header(stamp_ns, "base_link"),
                child_frame_id=frame,
                transform=Transform(translation=Vector3(x=x, y=y, z=z), rotation=rotation),
            )
            for frame, ((x, y, z), rotation) in places.items()
        ]
        self.publishers["tf_static"].publish(TFMessage(transforms=transforms))
        for name in CAMERAS:
            self.publishers[f"{name}/info"].publish(camera_info(name, stamp_ns))

    def send_set(
        self,
        stamp_ns: int,
        cameras: tuple[str, ...] = tuple(CAMERAS),
        images: dict[str, Any] | None = None,
        cloud: Any = None,
        odometry: bool = True,
        lidar: bool = True,
    ) -> None:
        """The messages of one instant: images, odometry around it, the sweep. `images`: other payloads by camera."""
        self.received["/diagnostics"].clear()
        if odometry:
            for offset in (-60_000_000, 0, 20_000_000):
                self.publishers["odometry"].publish(odometry_message(stamp_ns + offset))
        for name in cameras:
            payload = (images or {}).get(name, jpeg())
            if isinstance(payload, bytes):
                payload = compressed_message(name, stamp_ns + CAMERAS[name], payload)
                self.publishers[f"{name}/jpeg"].publish(payload)
            else:
                self.publishers[f"{name}/raw"].publish(payload)
        if lidar:
            self.publishers["lidar"].publish(cloud if cloud is not None else cloud_message(stamp_ns))

    def close(self) -> None:
        """End everything."""
        for node in self.nodes:
            node.close()
        self.executor.shutdown(timeout_sec=1.0)
        for node in [*self.nodes, self.node]:
            node.destroy_node()


def camera_info(name: str, stamp_ns: int, width: int = WIDTH, height: int = HEIGHT) -> Any:
    """Calibration of an undistorted camera."""
    from sensor_msgs.msg import CameraInfo

    from distilldrive_ros.nodes.conversions.factory import ROS

    k = [50.0, 0.0, width / 2, 0.0, 50.0, height / 2, 0.0, 0.0, 1.0]
    return CameraInfo(header=ROS.header(stamp_ns, f"{name}_optical"), width=width, height=height, k=k)


def compressed_message(name: str, stamp_ns: int, data: bytes) -> Any:
    """A `CompressedImage`."""
    from sensor_msgs.msg import CompressedImage

    from distilldrive_ros.nodes.conversions.factory import ROS

    return CompressedImage(header=ROS.header(stamp_ns, f"{name}_optical"), format="jpeg", data=array.array("B", data))


def raw_message(name: str, stamp_ns: int, encoding: str = "rgb8", step: int | None = None) -> Any:
    """An `Image` of one shade."""
    from sensor_msgs.msg import Image

    from distilldrive_ros.nodes.conversions.factory import ROS

    channels = 1 if encoding == "mono8" else 3
    row = WIDTH * channels if step is None else step
    return Image(
        header=ROS.header(stamp_ns + CAMERAS[name], f"{name}_optical"),
        width=WIDTH,
        height=HEIGHT,
        encoding=encoding,
        step=row,
        data=array.array("B", bytes([90]) * (row * HEIGHT)),
    )


def odometry_message(stamp_ns: int, speed: float = SPEED) -> Any:
    """Straight on at constant speed."""
    from nav_msgs.msg import Odometry

    from distilldrive_ros.nodes.conversions.factory import ROS

    message = Odometry(header=ROS.header(stamp_ns, "odom"), child_frame_id="base_link")
    message.pose.pose.position.x = speed * (stamp_ns - START_NS) * 1e-9
    message.pose.pose.orientation.w = 1.0
    message.twist.twist.linear.x = speed
    return message


def cloud_message(stamp_ns: int, points: Any = None, fields: Any = None) -> Any:
    """A `PointCloud2` of a structured array; four points with x, y, z, intensity, ring where none is given."""
    from sensor_msgs.msg import PointCloud2, PointField

    from distilldrive_ros.nodes.conversions.factory import ROS

    if points is None:
        layout = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2")]
        points = np.array([(5.0, i, -1.5, 20.0 + i, i) for i in range(4)], layout)
    codes = {"f4": 7, "f8": 8, "u2": 4, "u1": 2, "i2": 3, "i4": 5, "u4": 6, "i1": 1}
    if fields is None:
        fields = [
            PointField(name=name, offset=offset, datatype=codes[dtype.str[1:]], count=1)
            for name, (dtype, offset) in points.dtype.fields.items()
        ]
    return PointCloud2(
        header=ROS.header(stamp_ns, "LIDAR_TOP"),
        height=1,
        width=len(points),
        fields=fields,
        point_step=points.dtype.itemsize,
        row_step=points.nbytes,
        data=array.array("B", points.tobytes()),
        is_dense=True,
    )


@pytest.fixture
def drive(ros_context: Any, tmp_path: Path) -> Iterator[Drive]:
    """A drive in its own context."""
    rig = tmp_path / "small.yaml"
    rig.write_text(RIG, encoding="utf-8")
    made = Drive(ros_context, rig)
    yield made
    made.close()
