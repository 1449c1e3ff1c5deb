"""The RViz files show only what the running graph publishes, of the right type and with QoS that fits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("distilldrive_ros.msg")

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import (  # noqa: E402
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)

from distilldrive_ros.bags.topics import FIXED_TOPICS, TF_STATIC  # noqa: E402
from distilldrive_ros.bags.typestore import message_types  # noqa: E402
from distilldrive_ros.bags.writer import BagWriter  # noqa: E402
from distilldrive_ros.nodes.parameters.tables.visualizer import NUSCENES_CAMERAS  # noqa: E402
from distilldrive_ros.nodes.planning.planner_node import PlannerNode  # noqa: E402
from distilldrive_ros.nodes.playing.replay_node import ReplayNode  # noqa: E402
from distilldrive_ros.nodes.sensing.sensor_sync_node import SensorSyncNode  # noqa: E402
from distilldrive_ros.nodes.visualization.visualizer_node import VisualizerNode  # noqa: E402

DEADLINE_S = 30.0
FILES = ("live", "replay")

# What RViz's own displays subscribe to (rviz_default_plugins).
DISPLAY_TYPES = {
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
    "rviz_default_plugins/Path": "nav_msgs/msg/Path",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
}
WITHOUT_TOPIC = {"rviz_default_plugins/Grid", "rviz_default_plugins/TF", "rviz_default_plugins/Axes"}


def load(repository: Path, name: str) -> dict[str, Any]:
    """One of the files."""
    content: dict[str, Any] = yaml.safe_load((repository / "rviz" / f"{name}.rviz").read_text(encoding="utf-8"))
    return content


def displays(repository: Path, name: str) -> list[dict[str, Any]]:
    """Its displays."""
    return list(load(repository, name)["Visualization Manager"]["Displays"])


def profile_of(topic: dict[str, Any]) -> QoSProfile:
    """QoS that RViz will ask for."""
    return QoSProfile(
        depth=topic["Depth"],
        history={"Keep Last": HistoryPolicy.KEEP_LAST, "Keep All": HistoryPolicy.KEEP_ALL}[topic["History Policy"]],
        reliability={"Reliable": ReliabilityPolicy.RELIABLE, "Best Effort": ReliabilityPolicy.BEST_EFFORT}[
            topic["Reliability Policy"]
        ],
        durability={"Volatile": DurabilityPolicy.VOLATILE, "Transient Local": DurabilityPolicy.TRANSIENT_LOCAL}[
            topic["Durability Policy"]
        ],
        liveliness=LivelinessPolicy.AUTOMATIC,
    )


@pytest.fixture(scope="module")
def graph(ros_domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The real nodes around a replay of a bag with the converter's topics; gives a node that sees them."""
    path = tmp_path_factory.mktemp("rviz") / "bag"
    types = message_types().types
    with BagWriter(path) as writer:
        for topic, (kind, qos) in FIXED_TOPICS.items():
            writer.add_topic(topic, kind, qos)
        writer.write(TF_STATIC, types["tf2_msgs/msg/TFMessage"](transforms=[]), 1)
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    replay = ReplayNode(start=False, context=context, parameter_overrides=[Parameter("bag", value=str(path))])
    nodes = [cls(context=context) for cls in (SensorSyncNode, PlannerNode, VisualizerNode)] + [replay]
    observer = rclpy.create_node("observer", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(observer)
    deadline = time.monotonic() + DEADLINE_S
    while not observer.count_publishers("/visualizer/markers") or not observer.count_publishers("/lidar/points"):
        assert time.monotonic() < deadline, "the graph did not come up"
        executor.spin_once(timeout_sec=0.05)
    yield observer
    for node in nodes:
        node.close()
        node.destroy_node()
    observer.destroy_node()
    executor.shutdown()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize("name", FILES)
def test_every_topic_is_published_with_its_type_and_fitting_qos(name: str, graph: Node, repository: Path) -> None:
    shown = [d for d in displays(repository, name) if d["Class"] not in WITHOUT_TOPIC]
    assert len(shown) >= 9
    for display in shown:
        topic = display["Topic"]
        publishers = graph.get_publishers_info_by_topic(topic["Value"])
        assert publishers, f"{display['Name']}: nobody publishes {topic['Value']}"
        for publisher in publishers:
            assert publisher.topic_type == DISPLAY_TYPES[display["Class"]], display["Name"]
            compatibility, reason = qos_check_compatible(publisher.qos_profile, profile_of(topic))
            assert compatibility == QoSCompatibility.OK, f"{display['Name']}: {reason}"


@pytest.mark.parametrize("name", FILES)
def test_shows_candidates_best_path_and_six_overlays(name: str, repository: Path) -> None:
    topics = [d["Topic"]["Value"] for d in displays(repository, name) if "Topic" in d]
    assert {"/visualizer/markers", "/planner/path", "/lidar/points"} <= set(topics)
    assert {f"/visualizer/overlay/{camera}" for camera in NUSCENES_CAMERAS} <= set(topics)
    names = [d["Name"] for d in displays(repository, name)]
    assert len(set(names)) == len(names)


def test_frames_fit_the_use(repository: Path) -> None:
    """Live: the vehicle's own frame, which needs no localisation. Replay: the world stands, the view follows."""
    live, replay = (load(repository, name)["Visualization Manager"] for name in FILES)
    assert live["Global Options"]["Fixed Frame"] == "base_link"
    assert replay["Global Options"]["Fixed Frame"] == "odom"
    assert replay["Views"]["Current"]["Class"] == "rviz_default_plugins/ThirdPersonFollower"
    assert replay["Views"]["Current"]["Target Frame"] == live["Views"]["Current"]["Target Frame"] == "base_link"


@pytest.mark.parametrize("name", FILES)
def test_display_classes_are_rviz_own(name: str, repository: Path) -> None:
    for display in displays(repository, name):
        assert display["Class"] in WITHOUT_TOPIC | set(DISPLAY_TYPES)
        assert ("Topic" in display) == (display["Class"] in DISPLAY_TYPES)
