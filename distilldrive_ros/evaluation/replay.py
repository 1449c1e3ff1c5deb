"""A bag through synchroniser, model and planner in one process: no frame dropped, the same bytes on every run."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from distilldrive_ros.bags.reader import BagReader, open_bag
from distilldrive_ros.bags.result_topics import (
    CANDIDATES_TOPIC,
    MAP_TOPIC,
    OBJECTS_TOPIC,
    PATH_TOPIC,
    PLANS_TOPIC,
    RESULT_TOPICS,
)
from distilldrive_ros.bags.typed_messages import BAG
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.evaluation.bag_frames import BagFrames, FrameSettings
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.messages.plans import candidates_to_message, path_to_message, plan_to_message
from distilldrive_ros.messages.scene_elements import objects_to_message, vector_map_to_message
from distilldrive_ros.models.interface import DrivingModel, ModelOutput
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.planning.hazards import HazardLimits, find_hazards
from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import BagError, ModelOutputError, SensorDataError
from distilldrive_ros.scene.sensor_frame import SensorFrame

Progress = Callable[[float, float], object]

PLANS_FILE, SUMMARY_FILE, LATENCY_FILE = "plans.mcap", "replay.json", "latency.json"


@dataclass(frozen=True)
class PlannerSettings:
    """As the parameters of `planner`: limits, and how far odometry may lie from a set's stamp to give its speed, ms."""

    limits: PlanningLimits = field(default_factory=PlanningLimits)
    hazards: HazardLimits = field(default_factory=HazardLimits)
    odometry_tolerance_ms: float = 200.0


@dataclass(frozen=True)
class ReplayedSet:
    """One set and what came of it; `failure` says why there is no plan, or "". `seconds`: by stage, steady clock."""

    frame: SensorFrame
    output: ModelOutput | None
    plan: PlanCandidates | None
    seconds: dict[str, float]
    failure: str = ""


@dataclass
class BagReplay:
    """Runs a model over the sets of an open bag."""

    bag: BagReader
    model: DrivingModel
    frames: FrameSettings
    planner: PlannerSettings = field(default_factory=PlannerSettings)

    def __post_init__(self) -> None:
        """Prepare.

        Raises:
            BagError: the bag lacks what the rig needs.
        """
        self.frames = self.frames.fitted(self.bag, self.model.requirements)
        self.source = BagFrames(self.bag, self.frames)
        self.session = ModelSession(self.model)

    def __iter__(self) -> Iterator[ReplayedSet]:
        """Sets in stamp order, each with its plan.

        Raises:
            BagError: the bag is damaged.
        """
        for frame in self.source:
            # As the node does: a model with memory keeps the period it was trained for.
            if self.session.wants(frame):
                yield self._step(frame)

    def _step(self, frame: SensorFrame) -> ReplayedSet:
        try:
            output = self.session.run(frame)
        except (SensorDataError, ModelOutputError) as error:
            return ReplayedSet(frame, None, None, {}, str(error))
        c = output.candidates
        if not (np.isfinite(c.x).all() and np.isfinite(c.y).all() and np.isfinite(c.score).all()):
            # As the node does: a NaN in a plan may be one in the state, which would poison every later set.
            self.session.reset("candidates are not finite")
        # The model's clock is not of this world: the set's own stamp keeps the bytes the same.
        output = replace(output, candidates=replace(c, inference_stamp_ns=frame.stamp_ns))
        tolerance_ns = round(self.planner.odometry_tolerance_ms * 1e6)
        speed = self.source.speeds.at(frame.stamp_ns, tolerance_ns)
        hazards = find_hazards(output.candidates, output.objects, output.vector_map, self.planner.hazards)
        planned = plan(output.candidates, self.planner.limits, speed, hazards)
        return ReplayedSet(frame, output, planned, dict(output.stage_seconds))


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did.

    `failures`: why sets have no plan and how often; `dropped_sets`: why anchors gave no set (a sensor stayed away);
    `refused`: messages that could not be used, by topic, with `reasons`. `stage_seconds`: of every set, by stage.
    """

    bag: str
    model_id: str
    trained: bool
    device: str
    duration_s: float
    sets: int
    plans: int
    without_valid_candidate: int
    state_resets: int
    failures: dict[str, int]
    dropped_sets: dict[str, int]
    refused: dict[str, int]
    reasons: dict[str, str]
    key_frames_only: bool
    without_sensors: bool
    stage_seconds: dict[str, list[float]] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All but the times, which differ from run to run."""
        return {name: value for name, value in vars(self).items() if name != "stage_seconds"}


def replay_to_folder(
    bag: Path,
    out: Path,
    model: DrivingModel,
    frames: FrameSettings,
    planner: PlannerSettings | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> ReplayReport:
    """Replay a bag; leaves `plans.mcap` (stamps of the source), `replay.json`, and `latency.json` with the times.

    Args:
        bag: sensors of a drive.
        out: folder, made if needed.
        model: loaded.
        frames: rules of the synchroniser.
        planner: rules of the planner.
        force: replace results that are there already.
        progress: told how many seconds of the recording are done, and of how many.

    Raises:
        BagError: the bag cannot be read, has no set, or the results cannot be written.
    """
    target = out / PLANS_FILE
    if target.exists() and not force:
        raise BagError(f"{target} exists already; use --force to replace it or choose another place")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with open_bag(bag) as reader, tempfile.TemporaryDirectory(prefix=f".{PLANS_FILE}.", dir=out) as scratch:
            run = BagReplay(reader, model, frames, planner or PlannerSettings())
            with BagWriter(Path(scratch) / "plans") as writer:
                report = _record(run, writer, progress)
            if not report.sets:
                raise BagError(_why_no_set(run))
            (written,) = (Path(scratch) / "plans").glob("*.mcap")
            write_whole(out / SUMMARY_FILE, json.dumps(report.to_json(), indent=2) + "\n")
            write_whole(out / LATENCY_FILE, json.dumps({"stage_seconds": report.stage_seconds}) + "\n")
            written.replace(target)
    except OSError as error:
        raise BagError(f"cannot write to {out}: {error.strerror}; choose another --out") from error
    return report


def _record(run: BagReplay, writer: BagWriter, progress: Progress) -> ReplayReport:
    for topic, kind in RESULT_TOPICS.items():
        writer.add_topic(topic, kind)
    failures: Counter[str] = Counter()
    stages: dict[str, list[float]] = {}
    sets = plans = invalid = 0
    for done in run:
        sets += 1
        progress((done.frame.stamp_ns - run.bag.start_ns) * 1e-9, run.bag.duration_s)
        for name, seconds in done.seconds.items():
            stages.setdefault(name, []).append(seconds)
        if done.output is None or done.plan is None:
            failures[done.failure] += 1
            continue
        plans += 1
        invalid += done.plan.best is None
        _write_set(writer, done.output, done.plan)
    return ReplayReport(
        bag=run.bag.path.name, model_id=run.model.model_id, trained=run.model.trained, device=run.model.device,
        duration_s=run.bag.duration_s, sets=sets, plans=plans, without_valid_candidate=invalid,
        state_resets=run.session.state_resets, failures=dict(failures), dropped_sets=_dropped(run),
        refused=dict(run.source.refused), reasons=run.source.reasons,
        key_frames_only=run.frames.key_frames_only, without_sensors=run.frames.without_sensors,
        stage_seconds=stages,
    )  # fmt: skip


def _write_set(writer: BagWriter, output: ModelOutput, planned: PlanCandidates) -> None:
    messages = {
        CANDIDATES_TOPIC: candidates_to_message(BAG, output.candidates),
        OBJECTS_TOPIC: objects_to_message(BAG, output.objects),
        MAP_TOPIC: vector_map_to_message(BAG, output.vector_map),
        PLANS_TOPIC: plan_to_message(BAG, planned),
    }
    if planned.best is not None:
        messages[PATH_TOPIC] = path_to_message(BAG, planned, planned.best)
    for topic, message in messages.items():
        writer.write(topic, message, planned.stamp_ns)


def _why_no_set(run: BagReplay) -> str:
    reasons = "; ".join(f"{topic}: {reason}" for topic, reason in run.source.reasons.items())
    dropped = ", ".join(f"{count} dropped for {reason}" for reason, count in _dropped(run).items())
    cause = reasons or dropped or "no message of the anchor sensor"
    return f"{run.bag.path} gave no set ({cause}); check the rig against the bag's topics"


def _dropped(run: BagReplay) -> dict[str, int]:
    dropped = {str(reason): count for reason, count in run.source.synchronizer.counters.dropped.items() if count}
    if run.source.pairing is not None and run.source.pairing.left_out:
        dropped["no ground truth of that stamp"] = run.source.pairing.left_out
    return dropped
