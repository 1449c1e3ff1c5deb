"""Sets of a bag without ROS: damaged messages are counted by topic, a rig that the bag lacks is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.bags.convert import convert_scene
from distilldrive_ros.bags.reader import BagMessage, open_bag
from distilldrive_ros.bags.topics import LIDAR, OBJECTS, ROUTE, SAMPLE_INFO, image_topic
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.map_expansion import open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.evaluation.bag_frames import BagFrames, FrameSettings
from distilldrive_ros.evaluation.replay import BagReplay
from distilldrive_ros.models.registry import load_model
from distilldrive_ros.scene.errors import BagError
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.sync.config import SensorConfig, SyncConfig

KEY_FRAMES = 4
CAMERAS = ("CAM_FRONT", "CAM_BACK")
RULES = SyncConfig(
    anchor="LIDAR_TOP",
    sensors=(
        *(SensorConfig(name, "camera", tolerance_ms=60.0) for name in CAMERAS),
        SensorConfig("LIDAR_TOP", "lidar"),
    ),
    wait_for_command=True,
)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    make_demo_scene(folder / "root", np.random.default_rng(1), DemoSceneOptions(key_frames=KEY_FRAMES, width=160))
    nuscenes = NuScenes(folder / "root", VERSION)
    convert_scene(nuscenes, nuscenes.scenes[0], folder / "bag", None)
    return folder / "bag"


def changed(source: Path, target: Path, change: Callable[[BagMessage], bytes | None]) -> Path:
    """A copy with other bytes; None leaves a message out, a topic without messages is left out altogether."""
    with open_bag(source) as reader, BagWriter(target) as writer:
        kept = [(m, cdr) for m in reader.messages() if (cdr := change(m)) is not None]
        for topic in {m.topic for m, _ in kept}:
            writer.add_topic(topic, reader.topics[topic].type, reader.topics[topic].qos)
        for message, cdr in kept:
            writer.write(message.topic, cdr, message.stamp_ns)
    return target


def test_every_anchor_gives_a_set_with_its_own_command(bag: Path) -> None:
    with open_bag(bag) as reader:
        frames = list(BagFrames(reader, FrameSettings(RULES)))
        stamps = [m.stamp_ns for m in reader.messages(topics=[LIDAR])]
    assert [f.stamp_ns for f in frames] == stamps and len(stamps) == KEY_FRAMES
    assert all(f.degraded == Degraded.NONE for f in frames)
    assert [c.name for c in frames[0].cameras] == list(CAMERAS)
    assert frames[0].lidar is not None and frames[0].lidar.num_points > 0


def test_damaged_images_are_counted_and_named(bag: Path, tmp_path: Path) -> None:
    topic = image_topic("CAM_FRONT")
    seen: list[int] = []

    def cut(message: BagMessage) -> bytes:
        if message.topic != topic or seen.append(message.stamp_ns) or len(seen) != 2:  # type: ignore[func-returns-value]
            return bytes(message.cdr)
        return bytes(message.cdr[:-2]) + b"\0\0"

    with open_bag(changed(bag, tmp_path / "bag", cut)) as reader:
        frames = BagFrames(reader, FrameSettings(RULES))
        assert len(list(frames)) == KEY_FRAMES - 1
    assert frames.refused == {topic: 1} and "cut off" in frames.reasons[topic]
    assert sum(frames.synchronizer.counters.dropped.values()) == 1


def test_rig_that_the_bag_lacks_is_named(bag: Path, tmp_path: Path) -> None:
    topic = image_topic("CAM_BACK")
    with (
        open_bag(changed(bag, tmp_path / "a", lambda m: None if m.topic == topic else bytes(m.cdr))) as reader,
        pytest.raises(BagError, match=f"has no topic {topic}, which the rig needs"),
    ):
        BagFrames(reader, FrameSettings(RULES))
    without = changed(bag, tmp_path / "b", lambda m: None if m.topic == SAMPLE_INFO else bytes(m.cdr))
    with open_bag(without) as reader, pytest.raises(BagError, match="names no key frames"):
        BagFrames(reader, FrameSettings(RULES, key_frames_only=True))


def test_privileged_model_names_the_ground_truth_that_a_bag_lacks(bag: Path) -> None:
    model = load_model("pdm_closed")
    with open_bag(bag) as reader, pytest.raises(BagError, match=f"has no {ROUTE}, which a privileged model needs"):
        BagReplay(reader, model, FrameSettings(RULES))


def test_privileged_model_plans_at_annotated_stamps_only(tmp_path: Path) -> None:
    make_demo_scene(tmp_path / "root", np.random.default_rng(1), DemoSceneOptions(key_frames=KEY_FRAMES, width=160))
    nuscenes = NuScenes(tmp_path / "root", VERSION)
    (scene,) = nuscenes.scenes
    convert_scene(nuscenes, scene, tmp_path / "whole", open_map(nuscenes.dataroot, scene.location))
    with open_bag(tmp_path / "whole") as reader:
        stamps = [m.stamp_ns for m in reader.messages(topics=[SAMPLE_INFO])]

    def without_second(message: BagMessage) -> bytes | None:
        return None if message.topic == OBJECTS and message.stamp_ns == stamps[1] else bytes(message.cdr)

    with open_bag(changed(tmp_path / "whole", tmp_path / "bag", without_second)) as reader:
        run = BagReplay(reader, load_model("pdm_closed"), FrameSettings(RULES))
        found = [done.plan for done in run]
    assert [plan.stamp_ns for plan in found if plan is not None] == [stamps[0], *stamps[2:]]
    assert run.source.pairing is not None and run.source.pairing.left_out == 1


def test_models_that_need_no_sensors_run_on_odometry(bag: Path, tmp_path: Path) -> None:
    model = load_model("ctra")
    with open_bag(bag) as reader:
        seeing = BagReplay(reader, model, FrameSettings(RULES))
        expected = [done.plan for done in seeing]
    blind = changed(bag, tmp_path / "bag", lambda m: None if m.topic == LIDAR else bytes(m.cdr))
    with open_bag(blind) as reader:
        run = BagReplay(reader, model, FrameSettings(RULES))
        found = [done.plan for done in run]
    assert run.frames.without_sensors and not seeing.frames.without_sensors
    for one, other in zip(found, expected, strict=True):
        assert one is not None and other is not None and one.stamp_ns == other.stamp_ns
        np.testing.assert_array_equal(one.paths, other.paths)
