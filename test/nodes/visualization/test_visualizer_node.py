"""`visualizer` over real DDS: sets of equal stamps become markers and pictures, and bad input harms only itself."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("distilldrive_ros.msg")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from distilldrive_ros import msg  # noqa: E402
from distilldrive_ros.nodes import conversions  # noqa: E402
from distilldrive_ros.nodes.running import qos  # noqa: E402
from distilldrive_ros.nodes.visualization.visualizer_node import VisualizerNode  # noqa: E402
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType  # noqa: E402
from distilldrive_ros.scene.command import Command  # noqa: E402
from distilldrive_ros.scene.errors import ConfigurationError  # noqa: E402
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions  # noqa: E402
from distilldrive_ros.scene.sensor_frame import (  # noqa: E402
    CameraFrame,
    CameraStatus,
    Degraded,
    Discontinuity,
    EgoStatus,
    SensorFrame,
)
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap  # noqa: E402

SpunNodes = import_module("test.nodes.spun_nodes").SpunNodes
DEADLINE_S = 30.0
STAMP_NS = 1_532_402_927_500_000_000
CAMERAS = ("CAM_FRONT", "CAM_BACK")


def plan_at(stamp_ns: int) -> PlanCandidates:
    """A plan of two candidates."""
    positions = np.stack([np.arange(1.0, 7.0) * 2, np.zeros(6)], axis=1)
    candidates = tuple(
        Candidate(m, Command.STRAIGHT, s, InvalidReason.VALID, 0.5, positions + [0, m], np.zeros(6), None)
        for m, s in ((0, 0.75), (1, 0.25))
    )
    return PlanCandidates(
        stamp_ns, "base_link", stamp_ns, "m@1", ScoreType.SOFTMAX, Command.STRAIGHT, Degraded.NONE, 0, candidates
    )


def objects_at(stamp_ns: int) -> ObjectPredictions:
    """One car."""
    box = np.array([14.0, 3.0, 0.8, 4.5, 1.9, 1.6, 0.0])
    car = ObjectPrediction(
        1, "car", 0.5, box, np.zeros(2), 0.5, np.ones(1, np.float32), np.full((1, 6, 2), 14.0, np.float32)
    )
    return ObjectPredictions(stamp_ns, "base_link", "m@1", (car,))


def map_at(stamp_ns: int) -> VectorMap:
    """One divider."""
    line = MapPolyline(PolylineKind.DIVIDER, 0.9, np.array([[0, 2], [20, 2]], np.float32))
    return VectorMap(stamp_ns, "base_link", "m@1", (line,))


def frame_at(stamp_ns: int, names: tuple[str, ...] = CAMERAS) -> SensorFrame:
    """Grey images of 320 x 180 px from cameras that look forward."""
    stream = io.BytesIO()
    PillowImage.new("RGB", (320, 180), (100, 100, 100)).save(stream, "JPEG")
    base_from_camera = np.eye(4)
    base_from_camera[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    base_from_camera[:3, 3] = [1.0, 0.0, 1.5]
    intrinsics = np.array([[200.0, 0, 160], [0, 200.0, 90], [0, 0, 1]])
    data = np.frombuffer(stream.getvalue(), np.uint8)
    cameras = tuple(
        CameraFrame(n, stamp_ns, CameraStatus.FRESH, "jpeg", 320, 180, data, intrinsics, base_from_camera, np.eye(4))
        for n in names
    )
    ego = EgoStatus(stamp_ns, "base_link", stamp_ns, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return SensorFrame(
        stamp_ns,
        "base_link",
        0,
        Degraded.NONE,
        Discontinuity.NONE,
        Command.STRAIGHT,
        "odom",
        np.eye(4),
        cameras,
        None,
        ego,
    )


class Graph(SpunNodes):
    """A visualizer, and the nodes around it played by one that publishes and listens."""

    def __init__(self, context: Any) -> None:
        super().__init__(context, DEADLINE_S)
        self.visualizer: VisualizerNode | None = None
        profile = qos.reliable(10)
        create = self.listener.create_publisher
        self.plans = create(msg.PathCandidates, "planner/paths", profile)
        self.objects = create(msg.ObjectPredictions, "perception_planning/objects", profile)
        self.maps = create(msg.VectorMap, "perception_planning/map", profile)
        self.frames = create(msg.SensorFrame, "sensor_sync/frame", profile)
        self.truth = create(msg.ObjectPredictions, "ground_truth/objects", profile)

    def start(self, **parameters: Any) -> VisualizerNode:
        """The visualizer, once it hears its inputs."""
        self.visualizer = self.add(VisualizerNode, **parameters)
        publishers = (self.plans, self.objects, self.maps, self.frames, self.truth)
        self.spin_until(lambda: all(p.get_subscription_count() for p in publishers))
        return self.visualizer

    def listen(self, kind: Any, topic: str) -> list[Any]:
        """List that fills with the messages of a topic of the visualizer."""
        received: list[Any] = []
        self.listener.create_subscription(kind, topic, received.append, qos.reliable(10))
        self.spin_until(lambda: self.listener.count_publishers(topic) > 0)
        assert self.visualizer is not None
        ours = [p for p in self.visualizer.publishers if p.topic_name == f"/{topic}"]
        self.spin_until(lambda: ours[0].get_subscription_count() > 0)
        return received

    def send_plan(self, stamp_ns: int) -> None:
        """Plan, objects and map of an instant."""
        self.objects.publish(conversions.objects_to_message(objects_at(stamp_ns)))
        self.maps.publish(conversions.vector_map_to_message(map_at(stamp_ns)))
        self.plans.publish(conversions.plan_to_message(plan_at(stamp_ns)))

    def send_frame(self, frame: SensorFrame) -> None:
        """A set of images."""
        self.frames.publish(conversions.sensor_frame_to_message(frame))


@pytest.fixture
def graph(ros_context: Any) -> Iterator[Graph]:
    """A graph of this test's own."""
    made = Graph(ros_context)
    yield made
    made.close()


def nanoseconds(message: Any) -> int:
    """Header stamp."""
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def namespaces(array: MarkerArray) -> set[str]:
    """Namespaces of the markers that are added."""
    return {m.ns for m in array.markers if m.action == Marker.ADD}


def test_set_of_equal_stamps_becomes_markers(graph: Graph) -> None:
    graph.start()
    markers = graph.listen(MarkerArray, "visualizer/markers")
    graph.maps.publish(conversions.vector_map_to_message(map_at(STAMP_NS - 1)))
    graph.send_plan(STAMP_NS)
    graph.spin_until(lambda: len(markers) == 1)
    array = markers[0]
    assert array.markers[0].action == Marker.DELETEALL
    assert {nanoseconds(m) for m in array.markers} == {STAMP_NS}
    assert {"candidates/mode_0", "candidates/mode_1", "objects/car", "map/divider", "command"} <= namespaces(array)
    assert "ground_truth/objects" not in namespaces(array)


def test_plan_without_objects_and_map_is_drawn_alone(graph: Graph) -> None:
    graph.start()
    markers = graph.listen(MarkerArray, "visualizer/markers")
    graph.plans.publish(conversions.plan_to_message(plan_at(STAMP_NS)))
    graph.plans.publish(conversions.plan_to_message(plan_at(STAMP_NS + 1)))
    graph.spin_until(lambda: len(markers) == 1)
    assert nanoseconds(markers[0].markers[0]) == STAMP_NS
    assert "candidates/mode_0" in namespaces(markers[0]) and "objects/car" not in namespaces(markers[0])


def test_ground_truth_of_the_same_instant_is_drawn(graph: Graph) -> None:
    graph.start()
    markers = graph.listen(MarkerArray, "visualizer/markers")
    graph.truth.publish(conversions.objects_to_message(objects_at(STAMP_NS)))
    graph.truth.publish(conversions.objects_to_message(objects_at(STAMP_NS + 10**9)))
    assert graph.visualizer is not None
    graph.spin_until(lambda: len(graph.visualizer._truth_objects) == 2)
    for stamp in (STAMP_NS, STAMP_NS + 5):
        graph.send_plan(stamp)
        graph.spin_until(lambda s=stamp: any(nanoseconds(m.markers[0]) == s for m in markers))
    assert "ground_truth/objects" in namespaces(markers[0])
    assert "ground_truth/objects" not in namespaces(markers[-1])


@pytest.mark.parametrize("images_first", [True, False], ids=["images first", "plan first"])
def test_pictures_are_drawn_compressed_and_raw(graph: Graph, images_first: bool) -> None:
    graph.start(cameras=list(CAMERAS), overlay_width=160)
    compressed = graph.listen(CompressedImage, "visualizer/overlay/CAM_FRONT/compressed")
    raw = graph.listen(Image, "visualizer/overlay/CAM_BACK")
    if images_first:
        graph.send_frame(frame_at(STAMP_NS))
        graph.send_plan(STAMP_NS)
    else:
        graph.send_plan(STAMP_NS)
        graph.send_frame(frame_at(STAMP_NS))
    graph.spin_until(lambda: bool(compressed and raw))
    picture = PillowImage.open(io.BytesIO(bytes(compressed[0].data)))
    assert "jpeg" in compressed[0].format and picture.size == (160, 90)
    assert nanoseconds(compressed[0]) == nanoseconds(raw[0]) == STAMP_NS
    assert compressed[0].header.frame_id == "CAM_FRONT_optical" and raw[0].header.frame_id == "CAM_BACK_optical"
    assert (raw[0].encoding, raw[0].width, raw[0].height, raw[0].step) == ("rgb8", 160, 90, 480)
    pixels = np.frombuffer(raw[0].data, np.uint8).reshape(90, 160, 3)
    on_path = pixels[45 + round(100 * 1.5 / 9), 80]
    assert on_path[0] > 150 and on_path[2] < 120, "the selected path, 10 m ahead"


def test_nothing_is_drawn_for_nobody(graph: Graph) -> None:
    node = graph.start(cameras=list(CAMERAS))
    markers = graph.listen(MarkerArray, "visualizer/markers")
    graph.send_frame(frame_at(STAMP_NS))
    graph.send_plan(STAMP_NS)
    graph.spin_until(lambda: len(markers) == 1)
    assert node._worker.wait_idle(10.0)
    assert not any(overlay.wanted for overlay in node._overlays.values())
    assert len(node._pairing) == 1, "images were not even converted; the plan waits for none"


def test_one_corrupt_image_takes_no_other_away(graph: Graph) -> None:
    graph.start(cameras=list(CAMERAS))
    front = graph.listen(CompressedImage, "visualizer/overlay/CAM_FRONT/compressed")
    back = graph.listen(CompressedImage, "visualizer/overlay/CAM_BACK/compressed")
    reports: list[Any] = []
    graph.listener.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 10)
    frame = frame_at(STAMP_NS)
    bad = replace(frame.cameras[0], data=frame.cameras[0].data[:300])
    graph.send_frame(replace(frame, cameras=(bad, frame.cameras[1])))
    graph.send_plan(STAMP_NS)
    graph.spin_until(lambda: len(back) == 1)
    graph.spin_until(lambda: any("cannot be decoded" in s.message for r in reports for s in r.status))
    assert not front
    later = STAMP_NS + 10**9
    graph.send_frame(frame_at(later))
    graph.send_plan(later)
    graph.spin_until(lambda: len(front) == 1)


def test_second_pass_of_a_bag_is_drawn_although_the_first_left_halves_behind(graph: Graph) -> None:
    graph.start(queue_size=3)
    markers = graph.listen(MarkerArray, "visualizer/markers")
    graph.send_plan(STAMP_NS)
    graph.spin_until(lambda: len(markers) == 1)
    for later in range(1, 6):
        graph.objects.publish(conversions.objects_to_message(objects_at(STAMP_NS + later)))
        graph.maps.publish(conversions.vector_map_to_message(map_at(STAMP_NS + later)))
    assert graph.visualizer is not None
    sync = graph.visualizer._sync
    graph.spin_until(lambda: [len(q) for q in sync.queues] == [0, 3, 3])
    graph.send_plan(STAMP_NS)
    graph.spin_until(lambda: len(markers) == 2)


def test_broken_plan_is_reported_and_the_next_one_drawn(graph: Graph) -> None:
    graph.start()
    markers = graph.listen(MarkerArray, "visualizer/markers")
    reports: list[Any] = []
    graph.listener.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 10)
    broken = conversions.plan_to_message(plan_at(STAMP_NS))
    broken.scores = broken.scores[:1]
    graph.objects.publish(conversions.objects_to_message(objects_at(STAMP_NS)))
    graph.maps.publish(conversions.vector_map_to_message(map_at(STAMP_NS)))
    graph.plans.publish(broken)
    graph.spin_until(lambda: any("differ in length" in s.message for r in reports for s in r.status))
    graph.send_plan(STAMP_NS + 1)
    graph.spin_until(lambda: len(markers) == 1)


def test_parameters_take_effect_at_once_and_wrong_ones_are_refused(graph: Graph) -> None:
    node = graph.start()
    markers = graph.listen(MarkerArray, "visualizer/markers")
    (answer,) = node.set_parameters([Parameter("min_object_score", value=0.8)])
    assert answer.successful
    graph.send_plan(STAMP_NS)
    graph.spin_until(lambda: len(markers) == 1)
    assert "objects/car" not in namespaces(markers[0])
    (answer,) = node.set_parameters([Parameter("overlay_width", value=5)])
    assert not answer.successful and "overlay_width" in answer.reason and "64" in answer.reason
    with pytest.raises(ConfigurationError, match="overlay_width"):
        VisualizerNode(context=graph.context, parameter_overrides=[Parameter("overlay_width", value=5)])


def test_frames_come_by_reference_in_one_process(graph: Graph) -> None:
    graph.visualizer = VisualizerNode(frames_by_reference=True, context=graph.context)
    graph.executor.add_node(graph.visualizer)
    graph.spin_until(lambda: graph.plans.get_subscription_count() > 0 and graph.objects.get_subscription_count() > 0)
    graph.spin_until(lambda: graph.maps.get_subscription_count() > 0)
    assert graph.listener.count_subscribers("sensor_sync/frame") == 0
    pictures = graph.listen(CompressedImage, "visualizer/overlay/CAM_FRONT/compressed")
    graph.visualizer.accept_frame(frame_at(STAMP_NS))
    graph.send_plan(STAMP_NS)
    graph.spin_until(lambda: len(pictures) == 1)


def test_program_ends_cleanly_on_a_signal(graph: Graph) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "distilldrive_ros.nodes.visualization.visualizer_node"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        graph.spin_until(lambda: graph.listener.count_publishers("visualizer/markers") > 0)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=DEADLINE_S)
    finally:
        program.kill()
    assert program.returncode == 0, errors
    assert "Traceback" not in errors
