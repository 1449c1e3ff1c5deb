"""Models over bags, side by side: replay, score, and remember where each did worst."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distilldrive_ros.bags.ground_truth import KeyFrameTruth
from distilldrive_ros.bags.reader import BagReader, open_bag
from distilldrive_ros.evaluation.bag_frames import FrameSettings
from distilldrive_ros.evaluation.open_loop.calibration import Calibration, calibration
from distilldrive_ros.evaluation.open_loop.drive import DriveTruth, planning_samples, read_drive_truth
from distilldrive_ros.evaluation.open_loop.perception import PerceptionPairs, PerceptionResult, perception_metrics
from distilldrive_ros.evaluation.open_loop.planning import STEPS, SampleScore, Unscored, score_sample
from distilldrive_ros.evaluation.open_loop.summary import OpenLoopSummary, horizon_values, summarise
from distilldrive_ros.evaluation.replay import BagReplay, PlannerSettings
from distilldrive_ros.evaluation.report.metrics import StageLatency, summary
from distilldrive_ros.models.interface import DrivingModel, ModelOutput
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import BagError


@dataclass(frozen=True)
class WorstCase:
    """The key frame of a scene whose plan lies farthest from the way driven over 3 s, and the scene's means.

    `l2_m`: mean over the steps at that key frame; `scene_l2_m`, `scene_collision`: `stp3_vad` averages of the scene.
    """

    scene: str
    l2_m: float
    hits: int
    scene_l2_m: float
    scene_collision: float
    samples: int
    truth: KeyFrameTruth = field(repr=False)
    plan: PlanCandidates = field(repr=False)


@dataclass(frozen=True)
class ModelEvaluation:
    """All results of one model. `failures`: why sets have no plan; `notes`: what a reader must know."""

    name: str
    model_id: str
    trained: bool
    device: str
    summary: OpenLoopSummary
    calibration: Calibration
    perception: PerceptionResult
    latency: tuple[StageLatency, ...]
    worst: tuple[WorstCase, ...]
    failures: Mapping[str, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "model_id": self.model_id,
            "weights_trained": self.trained,
            "device": self.device,
            "open_loop": self.summary.to_json(),
            "calibration": self.calibration.to_json(),
            "perception": self.perception.to_json(),
            "latency_s": {
                s.name: {"count": s.count, "p50": s.p50, "p95": s.p95, "p99": s.p99, "max": s.worst}
                for s in self.latency
            },
            "scenes": [
                {
                    "scene": w.scene, "samples": w.samples, "l2_m": w.scene_l2_m, "collision": w.scene_collision,
                    "worst_sample": w.truth.sample.sample_token, "worst_sample_l2_m": w.l2_m,
                }
                for w in self.worst
            ],
            "failures": dict(self.failures),
            "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """Models side by side over the same key frames. `left_out`: bags that could not be used, with the reason."""

    bags: tuple[str, ...]
    scenes: tuple[str, ...]
    models: tuple[ModelEvaluation, ...]
    left_out: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "bags": list(self.bags),
            "scenes": list(self.scenes),
            "left_out": dict(self.left_out),
            "models": [m.to_json() for m in self.models],
        }


@dataclass
class _Gathered:
    """What one model yields, bag by bag."""

    scores: list[SampleScore] = field(default_factory=list)
    missing: Counter[Unscored] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    worst: list[WorstCase] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    pairs: PerceptionPairs = field(default_factory=PerceptionPairs)
    blind: int = 0


def evaluate(
    bags: Sequence[Path],
    models: Mapping[str, DrivingModel],
    frames: FrameSettings,
    planner: PlannerSettings | None = None,
    generator_seed: int = 0,
    progress: Callable[[str], object] = lambda words: None,
) -> Evaluation:
    """Replay every bag through every model and score.

    A bag that cannot be used is left out, for all models alike, and named with the reason.

    Args:
        bags: converted from a data set.
        models: by the name that tables show.
        frames: rules of the synchroniser.
        planner: rules of the planner.
        generator_seed: of the bootstrap.
        progress: told what is being done.

    Raises:
        BagError: no bag can be used.
    """
    gathered = {name: _Gathered() for name in models}
    left_out: dict[str, str] = {}
    used: list[str] = []
    scenes: list[str] = []
    for path in bags:
        try:
            found = _of_bag(path, models, frames, planner or PlannerSettings(), scenes, progress)
        except BagError as error:
            left_out[str(path)] = str(error)
            continue
        used.append(path.name)
        for name, part in found.items():
            _add(gathered[name], part)
    if not used:
        raise BagError("no bag can be evaluated: " + "; ".join(left_out.values()))
    results = tuple(_result(name, models[name], gathered[name], generator_seed) for name in models)
    return Evaluation(tuple(used), tuple(scenes), results, left_out)


def _of_bag(
    path: Path,
    models: Mapping[str, DrivingModel],
    frames: FrameSettings,
    planner: PlannerSettings,
    scenes: list[str],
    progress: Callable[[str], object],
) -> dict[str, _Gathered]:
    """Results of a bag for all models, or the error of the first that cannot use it."""
    with open_bag(path) as bag:
        drive = read_drive_truth(bag)
        again = [s for s in drive.scenes if s in scenes]
        if again:
            raise BagError(f"{path} holds scene {', '.join(again)}, which another bag has given already; name it once")
        found = {}
        for name, model in models.items():
            progress(f"{path.name}: {name}")
            found[name] = _replayed(bag, drive, model, frames, planner)
    scenes.extend(drive.scenes)
    return found


def _replayed(
    bag: BagReader, drive: DriveTruth, model: DrivingModel, frames: FrameSettings, planner: PlannerSettings
) -> _Gathered:
    out = _Gathered()
    plans: dict[int, PlanCandidates] = {}
    truth = {f.truth.stamp_ns: f.truth for f in drive.frames}
    run = BagReplay(bag, model, frames, planner)
    for done in run:
        if done.plan is None or done.output is None:
            out.failures[done.failure] += 1
            continue
        plans[done.frame.stamp_ns] = done.plan
        if (annotated := truth.get(done.frame.stamp_ns)) is not None:
            _add_pair(out.pairs, annotated, done.output)
        for stage, seconds in {**done.seconds, "total": sum(done.seconds.values())}.items():
            out.seconds.setdefault(stage, []).append(seconds)
    out.blind = int(run.frames.without_sensors)
    samples, out.missing = planning_samples(drive, plans)
    out.scores = [score_sample(sample) for sample in samples]
    out.worst = list(_worst_cases(drive, plans, out.scores))
    return out


def _add_pair(pairs: PerceptionPairs, truth: KeyFrameTruth, output: ModelOutput) -> None:
    pairs.objects.append((truth.objects, output.objects))
    if truth.vector_map is None:
        pairs.without_map += 1
    else:
        pairs.maps.append((truth.vector_map, output.vector_map))


def _worst_cases(
    drive: DriveTruth, plans: Mapping[int, PlanCandidates], scores: Sequence[SampleScore]
) -> Iterator[WorstCase]:
    truth = {f.truth.stamp_ns: f.truth for f in drive.frames}
    for scene in drive.scenes:
        own = [s for s in scores if s.scene == scene]
        if not own:
            continue
        worst = max(own, key=lambda s: (float(s.l2.mean()), s.stamp_ns))
        means = horizon_values(np.array([(s.l2, s.hits) for s in own], np.float64), "stp3_vad")[..., -1].mean(axis=0)
        yield WorstCase(
            scene, float(worst.l2.mean()), int(worst.hits.sum()), float(means[0]), float(means[1]), len(own),
            truth[worst.stamp_ns], plans[worst.stamp_ns],
        )  # fmt: skip


def _add(total: _Gathered, part: _Gathered) -> None:
    total.scores += part.scores
    total.missing += part.missing
    total.worst += part.worst
    total.failures += part.failures
    total.pairs.add(part.pairs)
    total.blind += part.blind
    for stage, seconds in part.seconds.items():
        total.seconds.setdefault(stage, []).extend(seconds)


def _result(name: str, model: DrivingModel, got: _Gathered, seed: int) -> ModelEvaluation:
    notes = []
    if not model.trained:
        notes.append("the weights are untrained: these numbers mean nothing")
    if got.blind:
        notes.append(f"{got.blind} bags hold no sensor data; the model needs none and ran on odometry alone")
    if got.pairs.without_map:
        notes.append(f"{got.pairs.without_map} key frames have no map, so that theirs is not scored")
    if not got.scores:
        notes.append(f"no key frame can be scored: none has {STEPS} steps of truth and a plan")
    return ModelEvaluation(
        name=name,
        model_id=model.model_id,
        trained=model.trained,
        device=model.device,
        summary=summarise(got.scores, got.missing, np.random.default_rng(seed), notes),
        calibration=calibration(got.scores),
        perception=perception_metrics(got.pairs),
        latency=tuple(summary(stage, seconds) for stage, seconds in got.seconds.items()),
        worst=tuple(sorted(got.worst, key=lambda w: -w.l2_m)),
        failures=dict(got.failures),
        notes=tuple(notes),
    )
