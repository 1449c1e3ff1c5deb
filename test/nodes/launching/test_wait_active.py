"""A program that waits for a lifecycle node."""

from __future__ import annotations

import signal
import subprocess
import sys
import time


def start(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "distilldrive_ros.nodes.launching.wait_active", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_command_runs_once_the_node_is_active(drive):
    node = drive.perception_planning(autostart=False)
    process = start("perception_planning", "--", sys.executable, "-c", "print('command'); raise SystemExit(7)")
    drive.spin_until(
        lambda: drive.node.count_clients("perception_planning/get_state") > 0, "the waiting program", timeout_s=60
    )
    node.trigger_configure()
    served = time.monotonic() + 1.0
    drive.spin_until(lambda: time.monotonic() > served, "answers while inactive")
    assert process.poll() is None, "configured is not active"
    node.trigger_activate()
    drive.spin_until(lambda: process.poll() is not None, "the command", timeout_s=60)
    assert process.returncode == 7
    assert process.stdout.read() == "command\n"


def test_an_interrupted_wait_is_a_clean_end(ros_domain):
    process = start("nobody", "--", "true")
    for line in process.stderr:
        if "waits until nobody is active" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert "Traceback" not in process.stderr.read()


def test_a_wrong_call_says_how():
    process = start("node", "command")
    assert process.wait(timeout=60) == 2
    assert process.stderr.read().startswith("usage: ")
