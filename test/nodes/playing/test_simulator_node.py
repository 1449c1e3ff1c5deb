"""`simulator` over real DDS: the graph drives a small world in lock-step; whatever the planner does ends well."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("distilldrive_ros.msg")

from geometry_msgs.msg import PoseStamped  # noqa: E402
from nav_msgs.msg import Path as PathMessage  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402

from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene  # noqa: E402
from distilldrive_ros.evaluation.closed_loop.result import DriveResult  # noqa: E402
from distilldrive_ros.messages.fields import stamp_ns  # noqa: E402
from distilldrive_ros.models.registry import load_model  # noqa: E402
from distilldrive_ros.nodes.conversions.factory import ROS  # noqa: E402
from distilldrive_ros.nodes.planning.perception_planning_node import PerceptionPlanningNode  # noqa: E402
from distilldrive_ros.nodes.planning.planner_node import PlannerNode  # noqa: E402
from distilldrive_ros.nodes.playing.simulator_node import SimulatorNode  # noqa: E402
from distilldrive_ros.nodes.running import qos  # noqa: E402
from distilldrive_ros.nodes.sensing.sensor_sync_node import SensorSyncNode  # noqa: E402
from distilldrive_ros.scene.errors import ConfigurationError, WorldError  # noqa: E402
from distilldrive_ros.worlds.driving.drive_log import EndReason, EventKind  # noqa: E402
from distilldrive_ros.worlds.driving.model_driver import drive  # noqa: E402
from distilldrive_ros.worlds.driving.recorded_worlds import RecordedWorlds  # noqa: E402
from distilldrive_ros.worlds.driving.sensor_set import Sensors  # noqa: E402
from distilldrive_ros.worlds.rig import Rig, nominal_rig  # noqa: E402
from distilldrive_ros.worlds.world import Snapshot  # noqa: E402

SpunNodes = import_module("test.nodes.spun_nodes").SpunNodes
DEADLINE_S = 100.0
HEARD = ["/lidar/points", "/odometry", "/command", "/sample_info"]


@dataclass
class Points:
    points: Any


class Grey:
    """Sees nothing but grey and a few points: what the network sees does not matter here."""

    def __init__(self, rig: Rig, fails: bool = False) -> None:
        self.rig, self.fails = rig, fails

    def images(self, snapshots: Mapping[str, Snapshot]) -> dict[str, np.ndarray]:
        if self.fails:
            raise WorldError("the display is gone; start it again")
        sizes = {c.channel: (c.height, c.width, 3) for c in self.rig.cameras}
        return {name: np.full(sizes[name], 90, np.uint8) for name in snapshots}

    def sweep(self, snapshot: Snapshot, rng: np.random.Generator) -> Points:
        points = rng.uniform(-20, 20, (50, 5)).astype(np.float32)
        points[:, 4] = np.arange(50) % 32
        return Points(points)

    def close(self) -> None:
        pass


@dataclass
class Worlds:
    """Worlds of a list."""

    sessions: list[Any]
    fails: bool = False

    def __len__(self) -> int:
        return len(self.sessions)

    def open(self, number: int) -> Any:
        return self.sessions[number]

    def renderer(self, session: Any, rig: Rig) -> Grey:
        return Grey(rig, self.fails)


class Graph(SpunNodes):
    """Nodes of one context, spun together."""

    def planner(self, model: str) -> None:
        """The three nodes from sensors to path, in lock-step."""
        perception = self.add(PerceptionPlanningNode, model=model, max_frame_age_s=0.0)
        perception.start_now()
        self.add(PlannerNode, odometry_reliability="reliable", match_timeout_ms=10000.0, await_subscribers=["path"])
        self.add(
            SensorSyncNode, sensor_reliability="reliable", wait_timeout_ms=10000.0, wait_for_command=True,
            await_subscribers=["frame"],
        )  # fmt: skip

    def simulator(self, worlds: Worlds, **parameters: Any) -> SimulatorNode:
        values = {"image_width": 64, "rate": 0.0, "plan_timeout": 60.0, "wait_timeout": 60.0, **parameters}
        return self.add(SimulatorNode, worlds, **values)

    def drives(self, node: SimulatorNode) -> list[DriveResult]:
        self.spin_until(node.finished.done)
        result = node.finished.result()
        assert result is not None
        return result.drives


@pytest.fixture
def graph(ros_context: Any) -> Iterator[Graph]:
    """A graph of this test's own."""
    made = Graph(ros_context, DEADLINE_S)
    yield made
    made.close()


class Answer:
    """A planner of the test: answers every sweep with a path made by `points(stamp)`, or not at all."""

    def __init__(self, graph: Graph, points: Callable[[int], Any]) -> None:
        from sensor_msgs.msg import PointCloud2

        self.points, self.stamps = points, []
        self.publisher = graph.listener.create_publisher(PathMessage, "planner/path", qos.reliable(5))
        graph.listener.create_subscription(PointCloud2, "lidar/points", self._answer, qos.reliable(5))

    def _answer(self, sweep: Any) -> None:
        stamp = stamp_ns(sweep.header.stamp)
        self.stamps.append(stamp)
        points = self.points(len(self.stamps))
        if points is None:
            return
        path = PathMessage(header=ROS.header(stamp, "base_link"))
        for index, (x, y) in enumerate(points, 1):
            header = ROS.header(stamp + index * 500_000_000, "base_link")
            path.poses.append(PoseStamped(header=header, pose=ROS.upright_pose(x, y, 0.0)))
        self.publisher.publish(path)


def straight(speed: float) -> list[tuple[float, float]]:
    return [(speed * 0.5 * step, 0.0) for step in range(1, 7)]


@pytest.mark.timeout(300)
def test_the_graph_drives_as_the_same_model_does_without_ros(graph: Graph, small_world: ModuleType) -> None:
    def world() -> Any:
        return small_world.SmallWorld(drivers=(small_world.Driver(60.0, 5.0, 9.0),), lasts=31)

    node = graph.simulator(Worlds([world(), world()]), wait_for_subscribers=["/odometry:2", *HEARD])
    graph.planner("ctra")
    first, second = graph.drives(node)
    assert first.end is EndReason.WORLD_ENDED and first.plans == second.plans == 6 and first.refused_plans == 0
    assert first.braked_share == 0.0 and [e.kind for e in first.events] == [EventKind.END]
    rig = nominal_rig(64)
    expected, _ = drive(world(), load_model("ctra"), Sensors(rig, None, (), False))
    assert first.driven_m == pytest.approx(expected.driven_m, abs=1e-6)
    assert second.driven_m == pytest.approx(expected.driven_m, abs=1e-6), "nothing is left of the drive before"
    resets = next(n for n in graph.nodes if n.get_name() == "perception_planning")._session.state_resets
    assert resets == 1, "the model forgets once, between the drives"


@pytest.mark.timeout(300)
def test_topics_are_those_of_a_converted_bag_with_one_clock(graph: Graph, small_world: ModuleType) -> None:
    from rosgraph_msgs.msg import Clock
    from sensor_msgs.msg import CameraInfo, CompressedImage
    from tf2_msgs.msg import TFMessage

    import distilldrive_ros.msg as msg

    heard: dict[str, list[Any]] = {}
    for topic, kind in (
        ("/clock", Clock), ("/tf", TFMessage), ("/camera/CAM_BACK/camera_info", CameraInfo),
        ("/camera/CAM_BACK/image/compressed", CompressedImage), ("/sample_info", msg.SampleInfo),
        ("/ground_truth/objects", msg.ObjectPredictions), ("/ground_truth/map", msg.VectorMap),
        ("/ground_truth/route", msg.VectorMap),
    ):  # fmt: skip
        heard[topic] = []
        graph.listener.create_subscription(kind, topic, heard[topic].append, qos.reliable(1000))
    static: list[Any] = []
    graph.listener.create_subscription(TFMessage, "/tf_static", static.append, qos.latched())
    answer = Answer(graph, lambda count: straight(8.0))
    world = small_world.SmallWorld(drivers=(small_world.Driver(60.0, 5.0, 9.0),), lasts=12)
    node = graph.simulator(Worlds([world]), wait_for_subscribers=["/lidar/points", *heard], scenes=1)
    graph.drives(node)
    graph.spin_until(lambda: len(heard["/sample_info"]) == 3 and len(heard["/ground_truth/route"]) == 3)
    clock = [stamp_ns(m.clock) for m in heard["/clock"]]
    assert clock == sorted(clock) and clock[0] >= 10_000_000_000
    assert [stamp_ns(m.header.stamp) for m in heard["/sample_info"]] == answer.stamps
    assert {m.scene_token for m in heard["/sample_info"]} == {"small-0-0"}
    shot, info = heard["/camera/CAM_BACK/image/compressed"][0], heard["/camera/CAM_BACK/camera_info"][-1]
    assert answer.stamps[0] - stamp_ns(shot.header.stamp) == 11_000_000 and shot.header.frame_id == "CAM_BACK_optical"
    assert (info.width, info.height) == (64, 36)
    (car,) = heard["/ground_truth/objects"][0].objects
    assert car.class_id == "car" and 45.0 < car.pose.position.x < 55.0
    frames = {t.child_frame_id for m in static for t in m.transforms}
    assert {"odom", "LIDAR_TOP", "CAM_FRONT_optical"} <= frames


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("points", "words"),
    [
        (lambda count: None, "there is no plan"),
        (lambda count: straight(float("nan")), "it holds NaN or infinity"),
        (lambda count: straight(8.0)[:0], "it holds no pose"),
    ],
)
def test_it_brakes_and_says_so_when_the_planner_is_silent_or_talks_nonsense(
    graph: Graph, small_world: ModuleType, tmp_path: Path, points: Any, words: str
) -> None:
    Answer(graph, points)
    output = tmp_path / "out" / "drives.json"
    node = graph.simulator(
        Worlds([small_world.SmallWorld()]), plan_timeout=0.05, time_limit=6.0, wait_for_subscribers=HEARD[:1],
        output=str(output),
    )  # fmt: skip
    (result,) = graph.drives(node)
    assert result.end is EndReason.TIME_LIMIT and result.braked_share > 0.5 and result.driven_m < 40.0
    assert any(words in event.detail for event in result.events)
    level, message, _ = node._diagnostics.report()["plan"]
    assert level == 2 and "brakes" in message
    content = json.loads(output.read_text())
    assert content["summary"]["ends"] == {"time_limit": 1} and content["drives"][0]["events"]


@pytest.mark.timeout(300)
def test_an_engine_that_dies_ends_the_drive_and_not_the_next_one(graph: Graph, small_world: ModuleType) -> None:
    Answer(graph, lambda count: straight(8.0))
    worlds = Worlds([small_world.SmallWorld(fails_after=8), small_world.SmallWorld(lasts=8)])
    node = graph.simulator(worlds, wait_for_subscribers=HEARD[:1])
    first, second = graph.drives(node)
    assert (first.end, second.end) == (EndReason.ENGINE_FAILED, EndReason.WORLD_ENDED)
    node.end_program()
    assert node.exit_code == 1 and all(session.closed == 1 for session in worlds.sessions)


@pytest.mark.timeout(300)
def test_recorded_scenes_are_driven_in_the_graphs_own_time_and_what_cannot_be_is_left_out(
    graph: Graph, tmp_path: Path
) -> None:
    made = make_demo_scene(tmp_path / "root", np.random.default_rng(3), DemoSceneOptions(key_frames=6, width=160))
    recorded = RecordedWorlds(made.root, next(made.root.glob("*/scene.json")).parent.name).open(0)

    class SomeLeftOut(Worlds):
        def open(self, number: int) -> Any:
            if number == 0:
                raise WorldError("scene-0001: its vehicle went 0.0 m, no way to be driven; name other scenes")
            return super().open(number)

    answer = Answer(graph, lambda count: straight(8.0))
    output = tmp_path / "drives.json"
    node = graph.simulator(SomeLeftOut([None, recorded]), wait_for_subscribers=HEARD[:1], output=str(output))
    (result,) = graph.drives(node)
    assert result.plans >= 3 and len(result.events) >= 1
    assert all(10.0 < stamp * 1e-9 < 20.0 for stamp in answer.stamps)
    assert all(0 <= event.time_ns * 1e-9 <= result.duration_s for event in result.events)
    (reason,) = json.loads(output.read_text())["left_out"]
    assert "no way to be driven" in reason
    node.end_program()
    assert node.exit_code == 1


@pytest.mark.timeout(300)
def test_a_renderer_that_dies_is_one_error(
    graph: Graph, small_world: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    node = graph.simulator(Worlds([small_world.SmallWorld()], fails=True))
    assert graph.drives(node) == []
    node.end_program()
    assert node.exit_code == 1 and "error: the display is gone; start it again" in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_in_real_time_plans_are_taken_when_they_come(graph: Graph, small_world: ModuleType) -> None:
    Answer(graph, lambda count: straight(8.0))
    node = graph.simulator(
        Worlds([small_world.SmallWorld(lasts=20)]), lock_step=False, rate=1.0, max_plan_age=10.0,
        wait_for_subscribers=HEARD[:1],
    )  # fmt: skip
    (result,) = graph.drives(node)
    assert result.end is EndReason.WORLD_ENDED and result.duration_s == pytest.approx(2.0)
    assert result.plans >= 1 and result.braked_share == 0.0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"rate": 0.0, "lock_step": False}, "0 needs lock_step"),
        ({"set_period": 0.25}, "must be a multiple of 0.1 s"),
        ({"kinds": ["straigt"]}, "did you mean 'straight'"),
        ({"scene_names": ["scene-0061"]}, "only recorded scenes have such names; give their dataroot"),
        ({"follower": "pid"}, "must be one of pure_pursuit | lqr"),
    ],
)
def test_wrong_parameters_are_refused(ros_context: Any, parameters: dict[str, Any], words: str) -> None:
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(ConfigurationError) as caught:
        SimulatorNode(start=False, context=ros_context, parameter_overrides=overrides)
    assert words in str(caught.value)
