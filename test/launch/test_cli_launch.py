"""`distilldrive launch` as people type it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")

COMMAND = [sys.executable, "-c", "import sys; from distilldrive_ros.cli.main import main; sys.exit(main())", "launch"]


def start(*words):
    return subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until(process, text):
    """Lines of the process up to the one with the text; ends with the process, which a timer ends in any case."""
    timer = threading.Timer(60, process.kill)
    timer.start()
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            break
    timer.cancel()
    assert text in "".join(lines), "".join(lines)
    return lines


@pytest.mark.parametrize("composition", ["process", "composed"])
def test_the_graph_starts_speaks_with_prefixes_and_ends_with_ctrl_c(composition):
    process = start("planner", "composition:=" + composition, "--model", "ctra")
    lines = read_until(process, "model ctra@rule on cpu: ready")
    name = "perception_planning" if composition == "process" else "planner_graph"
    assert lines[-1].startswith(f"[{name}] ")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("planner", "modle:=ctra"), "there is no argument 'modle'"),
        (("planner", "rig:=nowhere"), "there is no rig 'nowhere'"),
        (("replay",), "argument bag is missing"),
        (("planner", "rviz:=true"), "rviz2 is not installed"),
    ],
)
def test_what_cannot_start_is_one_line_and_exit_code_2(words, message, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")  # no RViz on any machine
    process = start(*words)
    _, errors = process.communicate(timeout=60)
    lines = [line for line in errors.splitlines() if line.startswith("distilldrive launch:")]
    assert process.returncode == 2 and len(lines) == 1 and message in lines[0], errors
    assert "Traceback" not in errors


def test_a_program_that_dies_ends_the_rest_with_its_name(tmp_path):
    file = tmp_path / "p.yaml"
    # Right by the table, but the rig is gone once the graph starts: the synchroniser ends with an error.
    rig = tmp_path / "rig.yaml"
    rig.write_text("anchor: X\ncameras: []\nlidar: {name: L, frame: l}\n", encoding="utf-8")
    file.write_text(f"/**/sensor_sync:\n  ros__parameters:\n    rig: {rig}\n", encoding="utf-8")
    process = start("planner", f"params_file:={file}")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "[sensor_sync] error: sync: anchor is 'X'" in errors
    assert "sensor_sync ended with exit code 1; the rest is stopped" in errors


def test_help_names_every_argument():
    shown = subprocess.run(
        [*COMMAND, "replay", "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    for name in (
        "--bag",
        "--rate",
        "--loop",
        "--start_offset",
        "--params_file",
        "--model",
        "--composition",
        "--respawn",
    ):
        assert name in shown
