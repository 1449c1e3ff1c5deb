"""`distilldrive replay`: the same bytes every time, the plans of the real graph, one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.bags.result_topics import PLANS_TOPIC
from distilldrive_ros.bags.topics import SAMPLE_INFO
from distilldrive_ros.cli.demo_data import convert_drive, demo_drive
from distilldrive_ros.cli.demo_graph import DemoRun, run_graph
from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions
from distilldrive_ros.messages.plans import plan_from_message
from distilldrive_ros.scene.candidates import PlanCandidates

KEY_FRAMES = 3


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    return convert_drive(demo_drive(folder, DemoSceneOptions(key_frames=KEY_FRAMES, width=160)), folder / "bags")[0]


def plans_of(path: Path) -> list[PlanCandidates]:
    with open_bag(path) as reader:
        return [plan_from_message(reader.deserialize(m)) for m in reader.messages(topics=[PLANS_TOPIC])]


def replay(bag: Path, out: Path, *words: str, model: str = "constant_velocity") -> int:
    return main(["replay", str(bag), "--model", model, "--out", str(out), *words])


def test_every_run_gives_the_same_bytes(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(bag, tmp_path / "a") == 0 and replay(bag, tmp_path / "b") == 0
    for name in ("plans.mcap", "replay.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"plans.mcap", "replay.json", "latency.json"}
    assert f"{KEY_FRAMES} plans of {KEY_FRAMES} sets by constant_velocity@rule" in capsys.readouterr().out
    summary = json.loads((tmp_path / "a" / "replay.json").read_text())
    assert (summary["sets"], summary["plans"], summary["failures"], summary["refused"]) == (KEY_FRAMES, 3, {}, {})


def test_plans_have_the_stamps_of_the_source(bag: Path, tmp_path: Path) -> None:
    assert replay(bag, tmp_path, "--key-frames-only") == 0
    with open_bag(bag) as source:
        stamps = [m.stamp_ns for m in source.messages(topics=[SAMPLE_INFO])]
    with open_bag(tmp_path / "plans.mcap") as plans:
        for topic in (PLANS_TOPIC, "/perception_planning/candidates", "/planner/path"):
            assert [m.stamp_ns for m in plans.messages(topics=[topic])] == stamps


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", ["ctra", "pdm_closed", "student_tiny"])
def test_plans_are_those_of_the_graph(ros_domain: int, bag: Path, tmp_path: Path, model: str) -> None:
    run = DemoRun(bag, tmp_path / "graph.mcap", tmp_path / "log", model, None, "cpu", 10.0, KEY_FRAMES, 60.0)
    run_graph(run)
    assert replay(bag, tmp_path / "here", model=model) == 0
    here, graph = plans_of(tmp_path / "here" / "plans.mcap"), plans_of(run.plans)
    assert len(here) == len(graph) == KEY_FRAMES
    for mine, theirs in zip(here, graph, strict=True):
        for name in ("stamp_ns", "frame_id", "model_id", "score_type", "active_command", "degraded", "selected",
                     "modes", "commands", "scores", "invalid_reasons"):  # fmt: skip
            assert getattr(mine, name) == getattr(theirs, name), name
        for one, other in zip(mine.candidates, theirs.candidates, strict=True):
            np.testing.assert_array_equal(one.positions, other.positions)
            np.testing.assert_allclose(one.yaw, other.yaw, rtol=0, atol=1e-12)
            assert one.time_step == other.time_step


def test_results_are_not_replaced_unless_told(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(bag, tmp_path) == 0
    assert replay(bag, tmp_path) == 2
    assert "plans.mcap exists already; use --force" in capsys.readouterr().err
    assert replay(bag, tmp_path, "--force") == 0


def test_what_cannot_be_replayed_is_one_line(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path / "nowhere", tmp_path / "out") == 2
    assert "there is no bag at" in capsys.readouterr().err
    assert replay(bag, tmp_path / "out", "--rig", "moon") == 2
    assert "there is no rig 'moon'" in capsys.readouterr().err
    (plans := tmp_path / "plans").mkdir()
    assert replay(bag, plans) == 0
    capsys.readouterr()
    assert replay(plans / "plans.mcap", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "has no topic /camera/CAM_FRONT/camera_info" in said and len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out" / "plans.mcap").exists()
