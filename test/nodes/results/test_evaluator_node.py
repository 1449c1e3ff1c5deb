"""The evaluator against real publishers: online it says, number for number, what the offline evaluation says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")

from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

from distilldrive_ros import msg
from distilldrive_ros.bags.convert import convert_scene
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.nodes.results.evaluator_node import EvaluatorNode
from distilldrive_ros.nodes.running import qos

DEADLINE_S = 30.0
KEY_FRAMES = 9
KINDS = {
    "/tf_static": TFMessage, "/odometry": Odometry, "/sample_info": msg.SampleInfo, "/command": msg.DrivingCommand,
    "/ground_truth/objects": msg.ObjectPredictions, "/ground_truth/path": PathMessage,
    "/planner/paths": msg.PathCandidates,
}  # fmt: skip


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A converted drive and its plans."""
    folder = tmp_path_factory.mktemp("drive")
    make_demo_scene(folder / "root", np.random.default_rng(1), DemoSceneOptions(key_frames=KEY_FRAMES, width=160))
    nuscenes = NuScenes(folder / "root", VERSION)
    convert_scene(nuscenes, nuscenes.scenes[0], folder / "bag", None)
    assert main(["replay", str(folder / "bag"), "--model", "ctra", "--out", str(folder / "plans")]) == 0
    return folder / "bag", folder / "plans" / "plans.mcap"


class Player:
    """Publishes recorded bytes on real topics to an evaluator in this process."""

    def __init__(self, context: Any, **parameters: Any) -> None:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.evaluator = EvaluatorNode(context=context, parameter_overrides=overrides)
        self.node = Node("player", context=context)
        self.publishers = {
            topic: self.node.create_publisher(kind, topic, qos.latched(10) if "static" in topic else qos.reliable(500))
            for topic, kind in KINDS.items()
        }
        self.executor = SingleThreadedExecutor(context=context)
        for node in (self.evaluator, self.node):
            self.executor.add_node(node)
        self.wait(lambda: all(p.get_subscription_count() for p in self.publishers.values()), "the evaluator listens")

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
            self.executor.spin_once(timeout_sec=0.02)

    def play(self, *paths: Path) -> None:
        """All messages of the bags in stamp order, odometry first so that nothing waits for it."""
        recorded = []
        for path in paths:
            with open_bag(path) as bag:
                topics = [t for t in bag.topics if t in KINDS]
                recorded += [(m.stamp_ns, m.topic, bytes(m.cdr)) for m in bag.messages(topics=topics)]
        for index, (_, topic, cdr) in enumerate(sorted(recorded, key=lambda r: r[0])):
            self.publishers[topic].publish(cdr)
            if index % 20 == 0:
                for _ in range(20):
                    self.executor.spin_once(timeout_sec=0.0)

    def close(self) -> None:
        self.evaluator.close()
        self.executor.shutdown()
        for node in (self.evaluator, self.node):
            node.destroy_node()


def test_online_is_offline(ros_context: Any, bags: tuple[Path, Path], tmp_path: Path) -> None:
    source, plans = bags
    player = Player(ros_context, output=str(tmp_path / "online.json"), page=str(tmp_path / "online.html"))
    try:
        player.play(source, plans)
        online = player.evaluator.evaluator
        player.wait(lambda: len(online.scores) == KEY_FRAMES - 6, "the scores")
        player.wait(lambda: len(online._parts) == 6 and len(online._plans) == KEY_FRAMES, "the last key frames")
    finally:
        player.close()
    page = (tmp_path / "online.html").read_text()
    assert page.count("<svg") == 1 and "ctra@rule" in page and "UniAD: the value at the step itself" in page
    found = json.loads((tmp_path / "online.json").read_text())
    assert main(["evaluate", str(source), "--model", "ctra", "--json", str(tmp_path / "offline.json")]) == 0
    (offline,) = json.loads((tmp_path / "offline.json").read_text())["models"]
    assert found["model_id"] == "ctra@rule" and found["incomplete_key_frames"] == 0
    for key in ("key_frames", "scored", "unscored"):
        assert found["open_loop"][key] == offline["open_loop"][key]
    for convention, metrics in offline["open_loop"]["planning"].items():
        for metric, horizons in metrics.items():
            for horizon, values in horizons.items():
                mean = found["open_loop"]["planning"][convention][metric][horizon]["mean"]
                # Headings travel as quaternions: equal but for the last digits.
                assert mean == pytest.approx(values["mean"], abs=1e-9), (convention, metric, horizon)


def test_key_frames_without_plans_are_counted(ros_context: Any, bags: tuple[Path, Path]) -> None:
    player = Player(ros_context)
    try:
        player.play(bags[0])
        player.wait(lambda: sum(player.evaluator.evaluator.unscored.values()) == KEY_FRAMES - 6, "the verdicts")
    finally:
        player.close()
    loop = player.evaluator.results()["open_loop"]
    assert loop["scored"] == 0 and loop["unscored"] == {"no_truth": 6, "no_plan": 3}
    assert loop["planning"]["uniad"]["l2_m"]["avg"]["mean"] is None
