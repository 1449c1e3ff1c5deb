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
from distilldrive_ros.bags.result_topics import PLANS_TOPIC
from distilldrive_ros.evaluation.bag_frames import FrameSettings
from distilldrive_ros.evaluation.open_loop.calibration import Calibration, calibration
from distilldrive_ros.evaluation.open_loop.drive import DriveTruth, planning_samples, read_drive_truth
from distilldrive_ros.evaluation.open_loop.perception import PerceptionPairs, PerceptionResult, perception_metrics
from distilldrive_ros.evaluation.open_loop.planning import STEPS, SampleScore, Unscored, score_sample
from distilldrive_ros.evaluation.open_loop.summary import OpenLoopSummary, horizon_values, summarise
from distilldrive_ros.evaluation.recording import RecordedResults
from distilldrive_ros.evaluation.replay import BagReplay, PlannerSettings
from distilldrive_ros.evaluation.report.metrics import StageLatency, summary
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import BagError, SensorDataError
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.vector_map import VectorMap

# The model that may drive a scene: its weights have not seen it.
SceneModel = Callable[[str], DrivingModel]


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
class Gathered:
    """What one model yields, bag by bag or on a live graph."""

    scores: list[SampleScore] = field(default_factory=list)
    missing: Counter[Unscored] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    worst: list[WorstCase] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    pairs: PerceptionPairs = field(default_factory=PerceptionPairs)
    blind: int = 0
    privileged: bool = False
    fold_ids: set[str] = field(default_factory=set)
    model_id: str = "none"
    device: str = "unknown"


def evaluate(
    bags: Sequence[Path],
    models: Mapping[str, DrivingModel],
    frames: FrameSettings,
    planner: PlannerSettings | None = None,
    folds: Mapping[str, SceneModel] | None = None,
    recorded: Mapping[str, Sequence[Path]] | None = None,
    generator_seed: int = 0,
    progress: Callable[[str], object] = lambda words: None,
) -> Evaluation:
    """Replay every bag through every model, and score; score recorded plans as well.

    A bag that cannot be used is left out, for all columns alike, and named with the reason.

    Args:
        bags: converted from a data set.
        models: by the name that tables show.
        frames: rules of the synchroniser.
        planner: rules of the planner.
        folds: models with weights of their own for each scene, by the name that tables show.
        recorded: bags of plans by the name that tables show; plans are found by their stamps.
        generator_seed: of the bootstrap.
        progress: told what is being done.

    Raises:
        BagError: no bag can be used, or recorded plans cannot be read.
    """
    past = {name: _read_plans(paths) for name, paths in (recorded or {}).items()}
    by_scene = folds or {}
    gathered = {name: Gathered() for name in (*models, *by_scene, *past)}
    left_out: dict[str, str] = {}
    used: list[str] = []
    scenes: list[str] = []
    for path in bags:
        try:
            found = _of_bag(path, models, by_scene, frames, planner or PlannerSettings(), past, scenes, progress)
        except (BagError, SensorDataError) as error:
            left_out[str(path)] = str(error)
            continue
        used.append(path.name)
        for name, part in found.items():
            _add(gathered[name], part)
    if not used:
        raise BagError("no bag can be evaluated: " + "; ".join(left_out.values()))
    results = tuple(model_evaluation(name, got, generator_seed) for name, got in gathered.items())
    return Evaluation(tuple(used), tuple(scenes), results, left_out)


def _of_bag(
    path: Path,
    models: Mapping[str, DrivingModel],
    by_scene: Mapping[str, SceneModel],
    frames: FrameSettings,
    planner: PlannerSettings,
    past: Mapping[str, RecordedResults],
    scenes: list[str],
    progress: Callable[[str], object],
) -> dict[str, Gathered]:
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
        for name, model_of in by_scene.items():
            progress(f"{path.name}: {name}")
            if len(drive.scenes) != 1:
                raise BagError(f"{path} holds {len(drive.scenes)} scenes; cross-validated models need bags of one each")
            found[name] = _replayed(bag, drive, model_of(drive.scenes[0]), frames, planner)
            found[name].fold_ids.add(found[name].model_id)
        for name, results in past.items():
            progress(f"{path.name}: {name}")
            found[name] = _from_plans(name, path, drive, results)
    scenes.extend(drive.scenes)
    return found


def _replayed(
    bag: BagReader, drive: DriveTruth, model: DrivingModel, frames: FrameSettings, planner: PlannerSettings
) -> Gathered:
    out = Gathered(model_id=model.model_id, device=model.device, privileged=model.requirements.ground_truth)
    plans: dict[int, PlanCandidates] = {}
    truth = {f.truth.stamp_ns: f.truth for f in drive.frames}
    run = BagReplay(bag, model, frames, planner)
    for done in run:
        if done.plan is None or done.output is None:
            out.failures[done.failure] += 1
            continue
        plans[done.frame.stamp_ns] = done.plan
        if (annotated := truth.get(done.frame.stamp_ns)) is not None:
            _add_pair(out.pairs, annotated, done.output.objects, done.output.vector_map)
        for stage, seconds in {**done.seconds, "total": sum(done.seconds.values())}.items():
            out.seconds.setdefault(stage, []).append(seconds)
    out.blind = int(run.frames.without_sensors)
    _score(out, drive, plans)
    return out


def _read_plans(paths: Sequence[Path]) -> RecordedResults:
    """Results of several bags as one."""
    read = []
    for path in paths:
        with open_bag(path) as bag:
            read.append(RecordedResults.read(bag))
            if not read[-1].plans:
                raise BagError(f"{path} holds no plans (no message of {PLANS_TOPIC}); record them, or use `replay`")
    return RecordedResults(
        plans={k: v for r in read for k, v in r.plans.items()},
        objects={k: v for r in read for k, v in r.objects.items()},
        maps={k: v for r in read for k, v in r.maps.items()},
        stats={k: v for r in read for k, v in r.stats.items()},
        ages={},
        health={},
    )


def _from_plans(name: str, path: Path, drive: DriveTruth, results: RecordedResults) -> Gathered:
    stamps = {f.truth.stamp_ns for f in drive.frames}
    if not stamps & results.plans.keys():
        raise BagError(f"no plan of {name} has the stamp of a key frame of {path}; these are not of the same drive")
    last = results.plans[max(stamps & results.plans.keys())]
    out = Gathered(model_id=last.model_id)
    for frame in drive.frames:
        stamp = frame.truth.stamp_ns
        if stamp in results.objects and stamp in results.maps:
            _add_pair(out.pairs, frame.truth, results.objects[stamp], results.maps[stamp])
        if (stats := results.stats.get(stamp)) is not None:
            out.device = stats.device
            for stage, seconds in zip(stats.stages, stats.stage_seconds, strict=True):
                out.seconds.setdefault(stage, []).append(seconds)
            out.seconds.setdefault("total", []).append(stats.total_seconds)
    _score(out, drive, results.plans)
    return out


def _score(out: Gathered, drive: DriveTruth, plans: Mapping[int, PlanCandidates]) -> None:
    samples, out.missing = planning_samples(drive, plans)
    out.scores = [score_sample(sample) for sample in samples]
    out.worst = list(_worst_cases(drive, plans, out.scores))


def _add_pair(pairs: PerceptionPairs, truth: KeyFrameTruth, objects: ObjectPredictions, vector_map: VectorMap) -> None:
    pairs.objects.append((truth.objects, objects))
    if truth.vector_map is None:
        pairs.without_map += 1
    else:
        pairs.maps.append((truth.vector_map, vector_map))


def _worst_cases(
    drive: DriveTruth, plans: Mapping[int, PlanCandidates], scores: Sequence[SampleScore]
) -> Iterator[WorstCase]:
    truth = {f.truth.stamp_ns: f.truth for f in drive.frames}
    for scene in drive.scenes:
        own = [s for s in scores if s.scene == scene]
        if own:
            worst = max(own, key=badness)
            yield worst_case(own, worst, truth[worst.stamp_ns], plans[worst.stamp_ns])


def badness(score: SampleScore) -> tuple[float, int]:
    """What the worst key frame has most of."""
    return float(score.l2.mean()), score.stamp_ns


def worst_case(own: Sequence[SampleScore], worst: SampleScore, truth: KeyFrameTruth, plan: PlanCandidates) -> WorstCase:
    """The worst key frame of a scene with all its scores."""
    means = horizon_values(np.array([(s.l2, s.hits) for s in own], np.float64), "stp3_vad")[..., -1].mean(axis=0)
    return WorstCase(
        worst.scene, float(worst.l2.mean()), int(worst.hits.sum()), float(means[0]), float(means[1]), len(own),
        truth, plan,
    )  # fmt: skip


def _add(total: Gathered, part: Gathered) -> None:
    total.scores += part.scores
    total.missing += part.missing
    total.worst += part.worst
    total.failures += part.failures
    total.pairs.add(part.pairs)
    total.blind += part.blind
    total.privileged |= part.privileged
    total.fold_ids |= part.fold_ids
    total.model_id, total.device = part.model_id, part.device
    for stage, seconds in part.seconds.items():
        total.seconds.setdefault(stage, []).extend(seconds)


def model_evaluation(name: str, got: Gathered, seed: int) -> ModelEvaluation:
    """The results of one model from all that it yielded; `seed`: of the bootstrap."""
    notes = []
    trained = not got.model_id.endswith("@untrained")
    if not trained:
        notes.append("the weights are untrained: these numbers mean nothing")
    if got.fold_ids:
        notes.append(f"cross-validated: {len(got.fold_ids)} sets of weights, each trained without the scene it drives")
    if got.privileged:
        notes.append("privileged: it sees the annotated road users and the map with the route; no equal of a network")
    if got.blind:
        notes.append(f"{got.blind} bags hold no sensor data; the model needs none")
    if got.pairs.without_map:
        notes.append(f"{got.pairs.without_map} key frames have no map, so that theirs is not scored")
    if not got.scores:
        notes.append(f"no key frame can be scored: none has {STEPS} steps of truth and a plan")
    return ModelEvaluation(
        name=name,
        model_id=got.model_id,
        trained=trained,
        device=got.device,
        summary=summarise(got.scores, got.missing, np.random.default_rng(seed), notes),
        calibration=calibration(got.scores),
        perception=perception_metrics(got.pairs),
        latency=tuple(summary(stage, seconds) for stage, seconds in got.seconds.items()),
        worst=tuple(sorted(got.worst, key=lambda w: -w.l2_m)),
        failures=dict(got.failures),
        notes=tuple(notes),
    )
