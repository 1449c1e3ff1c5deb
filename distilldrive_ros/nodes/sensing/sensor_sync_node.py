"""Node `sensor_sync`: sensor topics in, synchronised sets out. Thin: the rules are in `distilldrive_ros.sync`."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_msgs.msg import TFMessage

import distilldrive_ros.msg as msg
from distilldrive_ros.nodes.compat import cv_bridge, tf2_ros
from distilldrive_ros.nodes.conversions import command_from_message, sample_info_from_message, sensor_frame_to_message
from distilldrive_ros.nodes.conversions.poses import transform_message
from distilldrive_ros.nodes.conversions.raw_images import raw_image
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.sensor_sync import TABLE
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.clock_watch import ClockWatch
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs, gone_on_failure
from distilldrive_ros.nodes.running.listener_gate import ListenerGate
from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.nodes.sensing.extrinsics import StaticExtrinsics
from distilldrive_ros.nodes.sensing.rig import load_rig
from distilldrive_ros.nodes.sensing.sync_health import SyncHealth
from distilldrive_ros.nodes.sensing.sync_rules import sync_config, with_needs
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.sync.key_frame_filter import KeyFrameFilter
from distilldrive_ros.sync.message_inputs import Calibration, calibration, compressed_image, ego_motion, point_cloud
from distilldrive_ros.sync.synchronizer import SensorSynchronizer

POLL_PERIOD_S = 0.02
ODOMETRY_DEPTH = 50

FrameSink = Callable[[SensorFrame], None]


class SensorSyncNode(Node):
    """Subscribes to the topics of the rig, publishes `~/frame`, hands sets to nodes of its process by reference."""

    def __init__(self, models: Sequence[str] = (), **node_arguments: Any) -> None:
        """Make the node.

        Args:
            models: what gets the sets in this process: they hold what these models need.
            node_arguments: for `rclpy.node.Node`.

        Raises:
            ConfigurationError: a parameter or the rig is wrong.
        """
        super().__init__("sensor_sync", **node_arguments)
        with gone_on_failure(self):
            self._set_up(models)

    def _set_up(self, models: Sequence[str]) -> None:
        self._server = ParameterServer(self, TABLE)
        settings = self._server.current
        self.rig = load_rig(settings.rig)
        self._synchronizer = SensorSynchronizer(sync_config(with_needs(settings, self.rig, models), self.rig))
        self._sinks: list[FrameSink] = []
        self._calibrations: dict[str, tuple[Calibration, bytes]] = {}
        lidar = self._synchronizer.config.lidar
        self._lidar_frame = self.rig.frames[lidar.name] if lidar is not None else ""
        wait_ns = round(settings.wait_timeout_ms * 1e6)
        self._key_frames = KeyFrameFilter(wait_ns) if settings.key_frames_only else None
        self._extrinsics = StaticExtrinsics(settings.base_frame)
        self._bridge = cv_bridge.CvBridge()
        self._diagnostics = DiagnosticsPublisher(self, settings.diagnostics_period_s, self._refresh)
        self._guard = CallbackGuard(self, self._diagnostics)
        self._inputs = GuardedInputs(self, self._diagnostics, self._guard)
        self._health = SyncHealth(self._diagnostics, self._synchronizer, self.get_logger())
        self._clock_watch = ClockWatch(self, self._diagnostics, settings.clock_timeout_s)
        self._broadcaster = tf2_ros.TransformBroadcaster(self) if settings.publish_tf else None
        self._frames = self.create_publisher(
            msg.SensorFrame,
            "~/frame",
            qos.reliable(2),
            event_callbacks=qos.publisher_events(self._diagnostics, "~/frame"),
            qos_overriding_options=qos.overridable(),
        )
        self._gate = ListenerGate(self, settings.await_subscribers, {"frame": self._frames}, self._subscribe_all)
        # The steady clock: sets must be closed in time even where the node's clock stands.
        self.create_timer(
            POLL_PERIOD_S, self._guard.wrap("sync", self._poll), clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def hand_over(self, sink: FrameSink) -> None:
        """Give every set to `sink` too, by reference, on the executor's thread."""
        self._sinks.append(sink)

    @property
    def calibrated(self) -> bool:
        """Whether intrinsics and extrinsics of every sensor are known."""
        return all(sensor.calibrated for sensor in self._synchronizer.status(time.monotonic_ns()).sensors)

    def close(self) -> None:
        """Stop the timers."""
        self._diagnostics.stop()
        self._clock_watch.stop()

    def _subscribe_all(self) -> None:
        settings = self._server.current
        sensor = qos.sensor(settings.sensor_reliability, settings.sensor_depth)
        raw = settings.image_transport == "raw"
        listen = functools.partial(self._inputs.listen, overridable=True)
        # First: the executor takes what is waiting in this order, and nothing can be placed without transforms.
        self._inputs.listen(TFMessage, "/tf_static", self._on_tf_static, qos.latched(100), "extrinsics")
        for camera in self._synchronizer.config.cameras:
            base = f"camera/{camera.name}"
            on_image = functools.partial(self._on_image, camera.name)
            topic = f"{base}/image_raw" if raw else f"{base}/image/compressed"
            listen(Image if raw else CompressedImage, topic, on_image, sensor, base)
            on_info = functools.partial(self._on_camera_info, camera.name)
            listen(CameraInfo, f"{base}/camera_info", on_info, sensor, base)
        lidar = self._synchronizer.config.lidar
        if lidar is not None:
            listen(PointCloud2, "lidar/points", self._on_points, sensor, f"lidar/{lidar.name}")
        odometry = qos.sensor(settings.sensor_reliability, ODOMETRY_DEPTH)
        listen(Odometry, "odometry", self._on_odometry, odometry)
        listen(msg.DrivingCommand, "command", self._on_command, qos.reliable(10))
        listen(msg.SampleInfo, "sample_info", self._on_sample_info, qos.reliable(10), "sync")

    def _on_image(self, name: str, message: CompressedImage | Image) -> None:
        image = compressed_image(message) if isinstance(message, CompressedImage) else raw_image(message, self._bridge)
        self._emit(
            self._synchronizer.add_camera(
                name, image.stamp_ns, image.encoding, image.width, image.height, image.data, time.monotonic_ns()
            )
        )

    def _on_camera_info(self, name: str, message: CameraInfo) -> None:
        """Take an intrinsic calibration, once per change: the message comes with every image."""
        identity = b"".join(
            (message.k.tobytes(), message.p.tobytes(), message.header.frame_id.encode(), bytes(message.d))
        ) + bytes(f"{message.width}x{message.height}", "ascii")
        known = self._calibrations.get(name)
        if known is not None and known[1] == identity:
            return
        found = calibration(message, self._server.current.rectified)
        self._calibrations[name] = (found, identity)
        self._calibrate_camera(name, found)

    def _calibrate_camera(self, name: str, found: Calibration) -> None:
        matrix = self._extrinsics.base_from(found.frame_id or self.rig.frames[name])
        self._synchronizer.set_camera_calibration(name, found.intrinsics, found.width, found.height, matrix)

    def _calibrate_lidar(self, name: str) -> None:
        self._synchronizer.set_lidar_calibration(name, self._extrinsics.base_from(self._lidar_frame))

    def _on_points(self, message: PointCloud2) -> None:
        lidar = self._synchronizer.config.lidar
        assert lidar is not None  # else nobody would have subscribed
        points = point_cloud(message)
        subject = f"lidar/{lidar.name}"
        if points.non_finite:
            self._diagnostics.event(subject, Level.WARN, f"{points.non_finite} points are not finite; left out")
            self._diagnostics.count(subject, "non_finite_points", points.non_finite)
        if points.absent:
            self._diagnostics.event(subject, Level.WARN, f"no field {', '.join(points.absent)}; filled with 0")
        frame = message.header.frame_id.lstrip("/") or self.rig.frames[lidar.name]
        if frame != self._lidar_frame:
            self._lidar_frame = frame
            self._guard.wrap(subject, self._calibrate_lidar)(lidar.name)
        self._emit(self._synchronizer.add_lidar(lidar.name, points.stamp_ns, points.points, time.monotonic_ns()))

    def _on_odometry(self, message: Odometry) -> None:
        settings = self._server.current
        ego = ego_motion(message, settings.base_frame)
        if ego.world_frame != settings.world_frame:
            raise SensorDataError(
                f"odometry is in frame {ego.world_frame!r}, not {settings.world_frame!r}; set world_frame to it"
            )
        if self._broadcaster is not None:
            self._broadcaster.sendTransform(
                transform_message(ego.stamp_ns, settings.world_frame, settings.base_frame, ego.world_from_base)
            )
        self._emit(
            self._synchronizer.add_odometry(
                ego.stamp_ns,
                ego.world_from_base,
                ego.speed,
                ego.lateral_speed,
                ego.yaw_rate,
                time.monotonic_ns(),
            )
        )

    def _on_command(self, message: msg.DrivingCommand) -> None:
        command = command_from_message(message)
        self._emit(self._synchronizer.add_command(command.stamp_ns, command.command, time.monotonic_ns()))

    def _on_sample_info(self, message: msg.SampleInfo) -> None:
        info = sample_info_from_message(message)
        self._synchronizer.notify_scene(info.scene_token, info.stamp_ns)
        if self._key_frames is not None:
            self._publish(self._key_frames.announce(info.stamp_ns, time.monotonic_ns()))

    def _on_tf_static(self, message: TFMessage) -> None:
        try:
            self._extrinsics.add(message)
        finally:
            for name, (found, _) in self._calibrations.items():
                self._guard.wrap(f"camera/{name}", self._calibrate_camera)(name, found)
            lidar = self._synchronizer.config.lidar
            if lidar is not None:
                self._guard.wrap(f"lidar/{lidar.name}", self._calibrate_lidar)(lidar.name)

    def _poll(self) -> None:
        self._emit(self._synchronizer.poll(time.monotonic_ns()))
        if self._key_frames is not None:
            self._key_frames.poll(time.monotonic_ns())

    def _emit(self, frames: Sequence[SensorFrame]) -> None:
        if self._key_frames is None:
            self._publish(frames)
            return
        for frame in frames:
            self._publish(self._key_frames.add(frame, time.monotonic_ns()))

    def _publish(self, frames: Sequence[SensorFrame]) -> None:
        for frame in frames:
            for sink in self._sinks:
                sink(frame)
            if self._frames.get_subscription_count():
                self._frames.publish(sensor_frame_to_message(frame))

    def _refresh(self) -> None:
        self._clock_watch.refresh()
        settings = self._server.current
        left_out = 0 if self._key_frames is None else self._key_frames.left_out
        self._health.refresh(settings.camera_timeout_s, settings.odometry_timeout_s, left_out)


def main(argv: Sequence[str] | None = None) -> int:
    """Program `sensor_sync`."""
    return run_node(SensorSyncNode, argv)


if __name__ == "__main__":
    sys.exit(main())
