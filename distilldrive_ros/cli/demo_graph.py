"""Runs the graph of a demo: every node a process of its own, a bag played in lock-step, plans recorded."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO, cast

from distilldrive_ros.cli.launch import command_line
from distilldrive_ros.environment.programs import entry_point
from distilldrive_ros.environment.resources import config_file
from distilldrive_ros.nodes.launching.domain import reserve_domain
from distilldrive_ros.nodes.launching.launch_plan import GraphPlan, plan_replay
from distilldrive_ros.nodes.launching.supervisor import ProcessGroup, graph_environment
from distilldrive_ros.scene.errors import DistillDriveError

PLANS_TOPIC = "/planner/paths"
ANCHOR_TOPIC = "/sample_info"
# Beyond the inputs of sensor_sync: the planner hears the odometry and the recorder the sweeps as well.
AWAITED = ("/odometry:2", "/lidar/points:2", ANCHOR_TOPIC)
START_TIMEOUT_S = 180.0
POLL_S = 0.2
RECORDER_GRACE_S = 5.0
LAST_LINES = 12
# What perception_planning logs once its model is loaded, or not.
MODEL_READY, MODEL_FAILED = ": ready", "cannot be loaded:"


@dataclass(frozen=True)
class DemoRun:
    """What to play through which model. `plan_timeout_s`: longest wait for one plan; `expected_plans`: key frames."""

    bag: Path
    plans: Path
    log: Path
    model: str
    weights: Path | None
    device: str
    rate: float
    expected_plans: int
    plan_timeout_s: float

    @property
    def limit_s(self) -> float:
        """Longest time that the whole run may take, in seconds."""
        return START_TIMEOUT_S + self.expected_plans * (self.plan_timeout_s + 1.0) + 30.0


class GraphLog:
    """Lines of all programs, written to a file and watched for what went wrong. Thread-safe; a stream for writing."""

    def __init__(self, file: TextIO, echo: TextIO | None) -> None:
        """Write to `file`, and to `echo` where it is given."""
        self.path = file.name
        self._streams = [file] + ([echo] if echo is not None else [])
        self._lock = threading.Lock()
        self.model_failure = ""
        self.model_ready = False
        self.last: dict[str, list[str]] = {}

    def write(self, text: str) -> int:
        """Take one line `[program] words`."""
        program, _, words = text.strip().partition("] ")
        with self._lock:
            lines = self.last.setdefault(program.lstrip("["), [])
            lines.append(words)
            del lines[:-LAST_LINES]
            if MODEL_FAILED in words:
                self.model_failure = words.partition("]: ")[2] or words
            self.model_ready |= MODEL_READY in words
            for stream in self._streams:
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush all streams."""
        with self._lock:
            for stream in self._streams:
                stream.flush()

    def cause(self, program: str) -> str:
        """The last line of a program that names an error, or its last line."""
        lines = self.last.get(program, [])
        errors = [line for line in lines if line.startswith("error: ") or "[ERROR]" in line or "Error" in line]
        return (errors or lines or ["it said nothing"])[-1].removeprefix("error: ")


def demo_environment() -> dict[str, str]:
    """Environment of the programs: Fast DDS with the large segment, a domain of their own, this machine only."""
    environment = graph_environment()
    if "ROS_DOMAIN_ID" not in environment:
        environment["ROS_DOMAIN_ID"] = str(reserve_domain())
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment["ROS_LOCALHOST_ONLY"] = "1"
    environment.setdefault("PYTHONUNBUFFERED", "1")
    return environment


def demo_plan(run: DemoRun) -> GraphPlan:
    """The graph of `distilldrive launch replay`, in lock-step with the plans and without a visualizer.

    The visualizer would listen to the sets as well, and the player could not tell it from a loaded model.

    Raises:
        ConfigurationError: a parameter is refused.
    """
    given = {"bag": str(run.bag), "rate": str(run.rate), "model": run.model, "device": run.device}
    if run.weights is not None:
        given["weights"] = str(run.weights)
    plan = plan_replay(given)
    awaited = next(p for p in plan.programs if p.name == "replay").parameters["wait_for_subscribers"]
    extra: dict[str, dict[str, Any]] = {
        # In lock-step nothing is late, so nothing need be lost either: every link is reliable, and every node listens
        # only once those who listen to it are matched (planner: recorder and player; model: planner and recorder).
        "sensor_sync": {
            "wait_for_command": True,
            "sensor_reliability": "reliable",
            "await_subscribers": ("frame",),
        },
        "perception_planning": {
            "max_frame_age_s": 0.0,
            "await_subscribers": ("candidates:2", "objects:2", "map:2", "stats"),
        },
        "planner": {"odometry_reliability": "reliable", "await_subscribers": ("paths:2", "path")},
        "replay": {
            "wait_for_subscribers": (*awaited, *AWAITED),
            "wait_timeout": START_TIMEOUT_S,
            "start_delay": 0.0,
            "ack_topic": PLANS_TOPIC,
            "ack_anchor_topic": ANCHOR_TOPIC,
            "ack_timeout": run.plan_timeout_s,
        },
    }
    programs = [
        replace(p, parameters={**p.parameters, **extra.get(p.name, {})})
        for p in plan.programs
        if p.name != "visualizer"
    ]
    return replace(plan, programs=tuple(programs))


def recorder_command(run: DemoRun) -> list[str]:
    """Command of the recorder."""
    settings = {
        "output": str(run.plans),
        "overwrite": True,
        "max_plans": run.expected_plans,
        "anchor_reliability": "reliable",
    }
    words = [sys.executable, "-m", entry_point("recorder")[0], "--ros-args"]
    words += ["--params-file", str(config_file("replay.param.yaml"))]
    for name, value in settings.items():
        words += ["-p", f"{name}:={json.dumps(value)}"]
    return words


def run_graph(run: DemoRun, echo: TextIO | None = None, said: Callable[[str], None] = lambda words: None) -> None:
    """Start the programs, play the bag, and return once the plans are recorded.

    Args:
        run: what to play through what.
        echo: also shows the programs' lines there.
        said: told what happens.

    Raises:
        ConfigurationError: a parameter is refused.
        DistillDriveError: a program failed or the run took too long; the message names the program and the log.
    """
    plan = demo_plan(run)
    environment = demo_environment()
    programs = {program.name: program for program in plan.programs}
    run.log.parent.mkdir(parents=True, exist_ok=True)
    with run.log.open("w", encoding="utf-8") as file:
        log = GraphLog(file, echo)
        with ProcessGroup(output=cast(TextIO, log)) as group:
            # The model first: whoever joins later finds all its topics at once, and a model that cannot be loaded
            # ends the run before anything else is started.
            model = programs.pop("perception_planning")
            group.start(model.name, command_line(model), environment)
            _await_model(group, log)
            group.start("recorder", recorder_command(run), environment)
            for program in programs.values():
                group.start(program.name, command_line(program), environment)
            said(f"graph: {len(plan.programs) + 1} processes on ROS domain {environment['ROS_DOMAIN_ID']}")
            _watch(run, group, log)


def _await_model(group: ProcessGroup, log: GraphLog) -> None:
    """Wait until the model is loaded.

    Raises:
        DistillDriveError: it cannot be loaded, or takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not log.model_ready:
        _refuse_failures(group.wait_any(POLL_S), log)
        if time.monotonic() > deadline:
            raise DistillDriveError(f"the model was not ready after {START_TIMEOUT_S:.0f} s; see {log.path}")


def _refuse_failures(ended: tuple[str, int] | None, log: GraphLog) -> None:
    """Raise where the model cannot be loaded, or a program ended that should not have."""
    if log.model_failure:
        raise DistillDriveError(log.model_failure)
    if ended is not None and (ended[1] != 0 or ended[0] not in ("replay", "recorder")):
        name, code = ended
        raise DistillDriveError(f"{name} ended with exit code {code}: {log.cause(name)} (log: {log.path})")


def _watch(run: DemoRun, group: ProcessGroup, log: GraphLog) -> None:
    """Wait for the end of the replay, then for the recorder's."""
    deadline = time.monotonic() + run.limit_s
    recorder_deadline = None
    recorded = False
    while True:
        ended = group.wait_any(POLL_S)
        _refuse_failures(ended, log)
        if ended is not None and ended[0] == "recorder":
            recorded = True
        elif ended is not None:
            recorder_deadline = time.monotonic() + RECORDER_GRACE_S
        if recorded:
            return
        if recorder_deadline is not None and time.monotonic() > recorder_deadline:
            # Fewer plans than key frames: the recorder waits for more that will not come.
            group.interrupt("recorder")
            recorder_deadline = time.monotonic() + RECORDER_GRACE_S
        if time.monotonic() > deadline:
            raise DistillDriveError(f"the run took longer than {run.limit_s:.0f} s and was stopped; see {run.log}")
