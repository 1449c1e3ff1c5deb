"""`distilldrive demo`, end to end through real processes, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distilldrive_ros.cli.demo_data import demo_drive
from distilldrive_ros.cli.demo_graph import GraphLog
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions

DEADLINE_S = 280.0
SMALL = ["--drawn", "--frames", "3", "--image-width", "320"]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "distilldrive_ros.cli.main", "demo", *words]


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=DEADLINE_S, env=dict(os.environ))


@pytest.mark.slow
def test_drive_goes_through_the_graph_into_a_report(ros_domain: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = demo("--model", "constant_velocity", "--out", str(out), "--json", str(tmp_path / "result.json"), *SMALL)
    log = out / "work" / "graph.log"
    assert ended.returncode == 0, ended.stderr + (log.read_text() if log.exists() else "")
    assert "plans: 3 of 3 key frames, by constant_velocity@rule" in ended.stdout, ended.stdout + log.read_text()
    assert {p.name for p in out.iterdir()} == {"report.html", "metrics.json", "plans.mcap", "work"}
    assert not (out / "work" / "bags").exists()  # without --keep
    numbers = json.loads((out / "metrics.json").read_text())
    counts = numbers["counts"]
    assert (counts["frames_in"], counts["plans_out"], counts["dropped"], counts["failed"]) == (3, 3, 0, 0)
    assert numbers["age_s"]["sensor_to_plan"]["count"] == 3
    html = (out / "report.html").read_text()
    assert html.count("<svg") == 3 and html.count("data:image/jpeg") == 18
    assert json.loads((tmp_path / "result.json").read_text())["counts"] == counts


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_world_is_made_once_played_and_driven_in_closed_loop(ros_domain: int, tmp_path: Path) -> None:
    pytest.importorskip("traci", reason="SUMO is not installed (make setup-world)")
    pytest.importorskip("panda3d", reason="Panda3D is not installed (make setup-world)")
    out, result = tmp_path / "out", tmp_path / "result.json"
    words = ["--model", "constant_velocity", "--out", str(out), "--frames", "2", "--image-width", "160", "--drive", "5"]
    ended = demo(*words, "--json", str(result))
    assert ended.returncode == 0, ended.stderr
    assert "plans: 2 of 2 key frames, by constant_velocity@rule" in ended.stdout
    assert "closed loop, expert: four_way_priority-" in ended.stdout
    html, numbers = (out / "report.html").read_text(), json.loads(result.read_text())
    assert html.count("<svg") == 4 and "Closed loop" in html and "Generated world" in html
    assert [m["name"] for m in numbers["closed_loop"]["models"]] == ["constant_velocity", "expert"]
    (root,) = (out / "work").glob("world-*")
    made = (root / "v1.0-world" / "scene.json").stat().st_mtime_ns
    assert demo(*words, "--drive", "0").returncode == 0
    assert (root / "v1.0-world" / "scene.json").stat().st_mtime_ns == made, "taken from the cache"


@pytest.mark.slow
def test_model_that_cannot_be_loaded_is_one_line(ros_domain: int, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"no weights")
    ended = demo("--model", "constant_velocity", "--weights", str(weights), "--out", str(tmp_path / "out"), *SMALL)
    assert ended.returncode == 2
    assert "model constant_velocity cannot be loaded: " in ended.stderr and "takes no weights" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dataroot", "/nowhere"], "there is no folder /nowhere; check --dataroot"),
        (["--weights", "/nowhere.pth"], "there is no weight file /nowhere.pth"),
        (["--scene", "scene-0061"], "--scene names a scene of a data set; give its --dataroot"),
        (["--frames", "0"], "a demo scene needs key_frames >= 1"),
        (["--drive", "-1"], "--drive is -1.0 s; it must lie between 0 and 600"),
        (["--image-width", "5000"], "image width 5000 px is not within 160 to 1600"),
    ],
)
def test_wrong_arguments_are_one_line(ros_domain: int, tmp_path: Path, words: list[str], said: str) -> None:
    ended = demo("--out", str(tmp_path / "out"), *words)
    assert ended.returncode == 2
    assert said in ended.stderr and len(ended.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_data_set_without_pictures_is_refused_with_a_remedy(ros_domain: int, tmp_path: Path) -> None:
    drive = demo_drive(tmp_path, DemoSceneOptions(key_frames=1, width=160))
    for picture in drive.dataroot.glob("samples/CAM_BACK/*.jpg"):
        picture.unlink()
    ended = demo("--dataroot", str(drive.dataroot), "--version", drive.version, "--out", str(tmp_path / "out"))
    assert ended.returncode == 2
    assert "lacks files (1 of CAM_BACK)" in ended.stderr and "leave --dataroot out" in ended.stderr


@pytest.mark.slow
def test_interruption_ends_all_processes(ros_domain: int, tmp_path: Path) -> None:
    demo_drive(tmp_path / "out" / "work", DemoSceneOptions(key_frames=3, width=320))
    words = command("--model", "constant_velocity", "--rate", "0.01", "--out", str(tmp_path / "out"), *SMALL)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    log = tmp_path / "out" / "work" / "graph.log"
    deadline = time.monotonic() + DEADLINE_S
    try:
        while not (log.exists() and "plays " in log.read_text()):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    assert process.returncode == 130 and "interrupted" in stderr
    assert str(tmp_path) not in _command_lines()
    assert not (tmp_path / "out" / "report.html").exists()


def _command_lines() -> str:
    """Arguments of every process of this machine."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has just ended
    return "\n".join(line for line in lines if "distilldrive_ros.nodes" in line)


def test_scene_is_made_once_and_anew_after_a_change_of_options(tmp_path: Path) -> None:
    options = DemoSceneOptions(key_frames=1, width=160)
    first = demo_drive(tmp_path, options)
    (first.dataroot / "mark").touch()
    assert (demo_drive(tmp_path, options).dataroot / "mark").exists()
    assert not (demo_drive(tmp_path, options, fresh=True).dataroot / "mark").exists()
    other = demo_drive(tmp_path, DemoSceneOptions(key_frames=2, width=160))
    assert other.dataroot != first.dataroot


def test_log_names_the_cause(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        log = GraphLog(file, None)
        log.write("[planner] [INFO] [1.0] [planner]: starts\n")
        assert not log.model_ready
        log.write("[perception_planning] [INFO] [1.0] [perception_planning]: model x@1 on cpu: ready after 0.1 s\n")
        assert log.model_ready and not log.model_failure
        log.write("[planner] error: parameter 'top_k' is wrong\n")
        log.write("[planner] bye\n")
        log.write("[perception_planning] [ERROR] [2.0] [perception_planning]: model y cannot be loaded: no file\n")
    assert log.cause("planner") == "parameter 'top_k' is wrong"
    assert log.cause("nobody") == "it said nothing"
    assert log.model_failure == "model y cannot be loaded: no file"
    assert (tmp_path / "log").read_text().count("\n") == 5
