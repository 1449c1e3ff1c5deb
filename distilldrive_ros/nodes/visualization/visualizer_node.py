"""Node `visualizer`: plan, road users and map as RViz markers, and drawn into the cameras' photographs.

Callbacks only match messages; converting and drawing happen on one worker thread, where the newest set wins.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from numpy.typing import NDArray
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from distilldrive_ros import msg
from distilldrive_ros.messages.fields import stamp_ns
from distilldrive_ros.nodes.compat import message_filters
from distilldrive_ros.nodes.conversions import (
    objects_from_message,
    plan_from_message,
    sensor_frame_from_message,
    vector_map_from_message,
)
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.visualizer import TABLE, VisualizerConfiguration
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs, gone_on_failure
from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.nodes.visualization.markers import MarkerStyle, plan_markers
from distilldrive_ros.nodes.visualization.overlay_publisher import OverlayPublisher
from distilldrive_ros.nodes.visualization.render_worker import RenderWorker
from distilldrive_ros.nodes.visualization.stamp_pairing import StampPairing
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.visualization.overlay import OverlayStyle, draw_overlay

_DIAGNOSTICS_PERIOD_S = 1.0
_TRUTH_DEPTH = 40


@dataclass(frozen=True)
class PlanSet:
    """Messages of one instant; None: there is none of that stamp."""

    stamp_ns: int
    plan: msg.PathCandidates
    objects: msg.ObjectPredictions | None
    vector_map: msg.VectorMap | None
    ground_truth_objects: msg.ObjectPredictions | None
    ground_truth_path: Path | None


class VisualizerNode(Node):
    """Subscribes plan, objects, map, images and ground truth; publishes `~/markers` and `~/overlay/<NAME>`."""

    def __init__(self, frames_by_reference: bool = False, **node_arguments: Any) -> None:
        """Start listening.

        Args:
            frames_by_reference: images come through `accept_frame` from a node of the same process; no subscription.
            node_arguments: for `rclpy.node.Node` (context, parameter_overrides, namespace, …).

        Raises:
            ConfigurationError: a parameter is wrong.
        """
        super().__init__("visualizer", **node_arguments)
        with gone_on_failure(self):
            self._set_up(frames_by_reference)

    def _set_up(self, frames_by_reference: bool) -> None:
        self._server = ParameterServer(self, TABLE)
        settings = self._server.current
        self._diagnostics = DiagnosticsPublisher(self, _DIAGNOSTICS_PERIOD_S, self._refresh_diagnostics)
        self._guard = CallbackGuard(self, self._diagnostics)
        self._inputs = GuardedInputs(self, self._diagnostics, self._guard)
        self._worker = RenderWorker("visualizer", self._guard.report)
        self._pairing: StampPairing[PlanSet, SensorFrame] = StampPairing(settings.queue_size)
        self._truth_objects: OrderedDict[int, msg.ObjectPredictions] = OrderedDict()
        self._truth_paths: OrderedDict[int, Path] = OrderedDict()
        self._overlay_due_s = 0.0
        self._unmatched: msg.PathCandidates | None = None
        self._unknown_cameras: set[str] = set()
        self._markers = self.create_publisher(
            MarkerArray, "~/markers", qos.reliable(2), qos_overriding_options=qos.overridable()
        )
        self._overlays = {name: OverlayPublisher(self, name) for name in settings.cameras}
        self._listen(settings, frames_by_reference)

    def _listen(self, settings: VisualizerConfiguration, frames_by_reference: bool) -> None:
        plans = self._filtered(msg.PathCandidates, "planner/paths")
        plans.registerCallback(self._guard.wrap("plan", self._on_plan))
        inputs = [
            plans,
            self._filtered(msg.ObjectPredictions, "perception_planning/objects"),
            self._filtered(msg.VectorMap, "perception_planning/map"),
        ]
        self._sync = message_filters.TimeSynchronizer(inputs, settings.queue_size)
        self._sync.registerCallback(self._guard.wrap("plan", self._on_plan_set))
        listen = partial(self._inputs.listen, profile=qos.reliable(5), overridable=True)
        if not frames_by_reference:
            listen(msg.SensorFrame, "sensor_sync/frame", self._on_frame)
        listen(msg.ObjectPredictions, "ground_truth/objects", self._on_truth_objects)
        listen(Path, "ground_truth/path", self._on_truth_path)

    def _filtered(self, kind: Any, topic: str) -> Any:
        """Input of the matcher; at a backward jump of its stamps, what still waits of all inputs is forgotten."""
        source = self._inputs.matched(kind, topic, qos.reliable(5), overridable=True)
        last_ns = 0

        def watch(message: Any) -> None:
            nonlocal last_ns
            now_ns, before_ns = stamp_ns(message.header.stamp), last_ns
            last_ns = now_ns
            if now_ns < before_ns:
                self._forget_newer(now_ns)

        source.registerCallback(self._guard.wrap("plan", watch))
        return source

    def _forget_newer(self, now_ns: int) -> None:
        # message_filters keeps the newest stamps, so leftovers of the pass before would push every new message out.
        with self._sync.lock:
            for waiting in self._sync.queues:
                for key in [k for k in waiting if _nanoseconds(k) > now_ns]:
                    del waiting[key]

    def _on_truth_objects(self, message: msg.ObjectPredictions) -> None:
        _remember(self._truth_objects, stamp_ns(message.header.stamp), message)

    def _on_truth_path(self, message: Path) -> None:
        _remember(self._truth_paths, stamp_ns(message.header.stamp), message)

    def _on_plan(self, plan: msg.PathCandidates) -> None:
        """Called before the matcher. A plan still without objects and map when the next plan comes is drawn alone."""
        if self._unmatched is not None:
            self._diagnostics.count("plan", "without_objects_and_map")
            self._post(self._plan_set(self._unmatched, None, None))
        self._unmatched = plan

    def _on_plan_set(self, plan: msg.PathCandidates, objects: msg.ObjectPredictions, vector_map: msg.VectorMap) -> None:
        if self._unmatched is plan:
            self._unmatched = None
        self._post(self._plan_set(plan, objects, vector_map))

    def _plan_set(
        self, plan: msg.PathCandidates, objects: msg.ObjectPredictions | None, vector_map: msg.VectorMap | None
    ) -> PlanSet:
        stamp = stamp_ns(plan.header.stamp)
        shown = self._server.current.show_ground_truth
        return PlanSet(
            stamp,
            plan,
            objects,
            vector_map,
            self._truth_objects.get(stamp) if shown else None,
            self._truth_paths.get(stamp) if shown else None,
        )

    def _post(self, plan_set: PlanSet) -> None:
        self._diagnostics.count("plan", "sets")
        self._worker.post("markers", lambda: self._publish_markers(plan_set))
        self._post_overlays(self._pairing.add_left(plan_set.stamp_ns, plan_set))

    def _on_frame(self, message: msg.SensorFrame) -> None:
        if any(overlay.wanted for overlay in self._overlays.values()):
            self.accept_frame(sensor_frame_from_message(message))

    def accept_frame(self, frame: SensorFrame) -> None:
        """A set of images, by reference. Called on the executor's thread."""
        self._post_overlays(self._pairing.add_right(frame.stamp_ns, frame))

    def _post_overlays(self, pair: tuple[PlanSet, SensorFrame] | None) -> None:
        if pair is not None:
            plan_set, frame = pair
            self._worker.post("overlays", lambda: self._publish_overlays(plan_set, frame))

    def _publish_markers(self, plan_set: PlanSet) -> None:
        if not self._markers.get_subscription_count():
            return
        settings = self._server.current
        style = MarkerStyle(
            settings.marker_lifetime,
            settings.z_offset,
            settings.min_object_score,
            settings.min_map_score,
            settings.show_invalid,
        )
        markers = plan_markers(
            plan_from_message(plan_set.plan),
            _objects(plan_set.objects),
            _vector_map(plan_set.vector_map),
            _objects(plan_set.ground_truth_objects),
            None if plan_set.ground_truth_path is None else _path_points(plan_set.ground_truth_path),
            style,
        )
        self._markers.publish(markers)

    def _publish_overlays(self, plan_set: PlanSet, frame: SensorFrame) -> None:
        settings = self._server.current
        now_s = time.monotonic()
        wanted = [c for c in frame.cameras if self._is_wanted(c.name)]
        if not wanted or now_s < self._overlay_due_s:
            return
        if settings.overlay_max_rate:
            self._overlay_due_s = now_s + 1.0 / settings.overlay_max_rate
        plan = plan_from_message(plan_set.plan)
        objects, truth = _objects(plan_set.objects), _objects(plan_set.ground_truth_objects)
        vector_map = _vector_map(plan_set.vector_map)
        style = OverlayStyle(min_object_score=settings.min_object_score, min_map_score=settings.min_map_score)
        for camera in wanted:
            try:
                picture = draw_overlay(
                    camera,
                    frame.world_from_base,
                    plan,
                    objects,
                    vector_map,
                    truth,
                    settings.overlay_width,
                    style,
                )
                self._overlays[camera.name].publish(picture, frame.stamp_ns, settings.overlay_jpeg_quality)
            except Exception as error:
                # One camera's bad picture must not take the other five away.
                self._guard.report(f"overlay/{camera.name}", error)

    def _is_wanted(self, camera: str) -> bool:
        if camera in self._overlays:
            return self._overlays[camera].wanted
        if camera not in self._unknown_cameras:
            self._unknown_cameras.add(camera)
            self.get_logger().warning(f"{camera} has no overlay: it is not in the parameter 'cameras'")
        return False

    def _refresh_diagnostics(self) -> None:
        replaced = {f"{kind}_replaced": self._worker.replaced(kind) for kind in ("markers", "overlays")}
        self._diagnostics.set("rendering", Level.OK, "drawing", **replaced)

    def close(self) -> None:
        """Stop drawing; before the node is destroyed."""
        self._diagnostics.stop()
        self._worker.stop()


def _remember(store: OrderedDict[int, Any], stamp: int, item: Any) -> None:
    store[stamp] = item
    store.move_to_end(stamp)
    while len(store) > _TRUTH_DEPTH:
        store.popitem(last=False)


def _nanoseconds(key: Any) -> int:
    """Key of a matcher's queue: an integer, or rclpy's Time in ROS's own package."""
    return int(getattr(key, "nanoseconds", key))


def _objects(message: msg.ObjectPredictions | None) -> ObjectPredictions | None:
    return None if message is None else objects_from_message(message)


def _vector_map(message: msg.VectorMap | None) -> VectorMap | None:
    return None if message is None else vector_map_from_message(message)


def _path_points(path: Path) -> NDArray[np.float64]:
    """Positions (n, 2) of a path."""
    return np.array([(p.pose.position.x, p.pose.position.y) for p in path.poses], np.float64).reshape(-1, 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Program `visualizer`."""
    return run_node(VisualizerNode, argv)


if __name__ == "__main__":
    sys.exit(main())
