"""One process or several: the same plans from the same messages."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib import import_module

from rclpy.parameter import Parameter

from distilldrive_ros.environment.programs import entry_point
from distilldrive_ros.messages.fields import stamp_ns

conftest = import_module("test.nodes.conftest")
START_NS, STEP_NS = conftest.START_NS, conftest.STEP_NS


def plans_of(drive, count):
    """Plans of `count` sets, each sent after the plan of the one before, without the time of inference.

    Before them go sets of a minute earlier until one is planned: while discovery is under way, some are lost. The gap
    makes the models start anew.
    """
    paths = drive.received["planner/paths"]
    sent, due = 0, 0.0

    def planned() -> bool:
        nonlocal sent, due
        if time.monotonic() > due:
            drive.send_calibration()
            drive.send_set(START_NS - 60_000_000_000 + sent * STEP_NS)
            sent, due = sent + 1, time.monotonic() + 0.3
        return bool(paths)

    drive.spin_until(planned, "the first plan", timeout_s=60.0)
    found = []
    for index in range(count):
        drive.send_set(START_NS + index * STEP_NS)

        def arrived(index=index) -> bool:
            found[:] = [p for p in paths if stamp_ns(p.header.stamp) >= START_NS]
            return len(found) > index

        drive.spin_until(arrived, f"plan {index}")
    return [(p.header, p.model_id, p.selected, p.paths, p.scores, p.degraded, p.active_command) for p in found]


def test_the_composed_graph_gives_the_plans_of_separate_processes(drive, ros_domain, tmp_path):
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(
        f"/**/sensor_sync:\n  ros__parameters:\n    rig: {drive.rig}\n"
        "/**/perception_planning:\n  ros__parameters:\n    model: ctra\n",
        encoding="utf-8",
    )
    programs = ("sensor_sync", "perception_planning", "planner")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", entry_point(program)[0], "--ros-args", "--params-file", str(parameters)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for program in programs
    ]
    try:
        separate = plans_of(drive, 3)
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
        codes = [process.wait(timeout=20) for process in processes]
    assert codes == [0, 0, 0], "SIGINT is a clean end"
    for messages in drive.received.values():
        messages.clear()
    composed = composed_plans(drive)
    assert composed == separate
    assert len(composed) == 3 and len({str(plan[3]) for plan in composed}) == 3


def composed_plans(drive):
    from distilldrive_ros.nodes.launching.graph import make_graph

    overrides = [Parameter("rig", value=str(drive.rig)), Parameter("model", value="ctra")]
    for node in make_graph(context=drive.context, parameter_overrides=overrides):
        drive.add(node)
    return plans_of(drive, 3)


def test_sets_are_handed_over_by_reference(drive):
    from distilldrive_ros.nodes.launching.graph import make_graph

    overrides = [Parameter("rig", value=str(drive.rig))]
    nodes = [drive.add(n) for n in make_graph(context=drive.context, parameter_overrides=overrides)]
    sync = next(n for n in nodes if n.get_name() == "sensor_sync")
    seen = []
    sync.hand_over(seen.append)
    drive.connect()
    plans_of(drive, 1)
    assert seen[0].cameras[0].data.base is not None, "a view of the received message, not a copy"
    topic = "sensor_sync/frame"
    assert sync.count_subscribers(topic) == 1, "the test itself: no node of the graph subscribes to the sets"
