"""The programs as people start them: exit codes and one-line errors."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.environment.programs import entry_point

pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")


def start(program, *words):
    return subprocess.Popen(
        [sys.executable, "-m", entry_point(program)[0], *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("program", "parameter", "words"),
    [
        ("sensor_sync", "rigg:=nuscenes", "no parameter 'rigg'; did you mean 'rig'?"),
        ("sensor_sync", "wait_timeout_ms:=-5.0", "must be in the range 0 to 10000 ms, got -5.0"),
        ("sensor_sync", "rig:=nowhere", "there is no rig 'nowhere'; use one of"),
        ("perception_planning", "model:=studnt", "did you mean 'student'?"),
        ("planner", "top_k:=many", "must be a int, got 'many' (string)"),
    ],
)
def test_a_wrong_parameter_ends_the_program_with_one_line(program, parameter, words):
    process = start(program, "--ros-args", "-p", parameter)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    lines = [line for line in errors.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: ") and words in lines[0]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_clean_end(sign):
    before = set(Path("/dev/shm").iterdir())
    process = start("perception_planning")
    for line in process.stderr:
        if "ready" in line:
            break
    # It reads those of other participants as well, such as this test run's own.
    segments = shared_memory_of(process.pid) - before
    assert segments
    process.send_signal(sign)
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == ""
    assert not [path for path in segments if path.exists()], "its shared memory outlives it"


def shared_memory_of(pid):
    """Segments of Fast DDS that a process has open, but for the ports, which all of a domain share."""
    maps = Path(f"/proc/{pid}/maps").read_text().split()
    return {Path(word) for word in maps if "/fastdds_" in word and "port" not in word}
