"""The same scores while the drive goes on: a key frame is scored once the six after it have come. Knows no ROS."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.ground_truth import KeyFrameTruth
from distilldrive_ros.evaluation.open_loop.drive import planning_sample, truth_frame
from distilldrive_ros.evaluation.open_loop.evaluation import (
    Evaluation,
    Gathered,
    badness,
    model_evaluation,
    worst_case,
)
from distilldrive_ros.evaluation.open_loop.lidar_frame import virtual_lidar
from distilldrive_ros.evaluation.open_loop.planning import STEPS, SampleScore, Unscored, score_sample
from distilldrive_ros.evaluation.open_loop.summary import OpenLoopSummary, summarise
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.inference_stats import InferenceStats
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sample_info import DrivingCommand, SampleInfo
from distilldrive_ros.scene.timed_path import TimedPath

Array = NDArray[np.float64]

# Poses come with every sensor message, about 110 a second; key frames wait 3 s for the six after them.
INCOMPLETE_WORDS = "key frames of which a part never came"
POSES_KEPT = 2000
PLANS_KEPT = 200


@dataclass
class OnlineEvaluator:
    """Takes single messages in any order, as a graph gives them; time going back ends a drive and begins another.

    `scores` and `unscored` are of all key frames that are decided; those still waiting are decided by `finish`.
    """

    base_from_lidar: Array = field(default_factory=virtual_lidar)
    scores: list[SampleScore] = field(default_factory=list)
    unscored: Counter[Unscored] = field(default_factory=Counter)
    model_id: str = ""
    incomplete: int = 0
    device: str = "unknown"
    seconds: dict[str, list[float]] = field(default_factory=dict)
    _worst: dict[str, tuple[SampleScore, KeyFrameTruth, PlanCandidates]] = field(default_factory=dict)
    _parts: OrderedDict[int, dict[type, Any]] = field(default_factory=OrderedDict)
    _poses: OrderedDict[int, Array] = field(default_factory=OrderedDict)
    _plans: OrderedDict[int, PlanCandidates] = field(default_factory=OrderedDict)
    _newest_sample_ns: int = 0

    def add_pose(self, stamp_ns: int, world_from_base: Array) -> None:
        """An odometry pose (4, 4); those at the stamps of key frames are used."""
        self._poses[stamp_ns] = world_from_base
        if len(self._poses) > POSES_KEPT:
            self._poses.popitem(last=False)
        self._score_decided()

    def add_plan(self, plan: PlanCandidates) -> None:
        """A plan; found by its stamp."""
        self._plans[plan.stamp_ns] = plan
        self.model_id = plan.model_id
        if len(self._plans) > PLANS_KEPT:
            self._plans.popitem(last=False)

    def add_stats(self, stats: InferenceStats) -> None:
        """Times of a set, for the table of latencies."""
        self.device = stats.device
        for stage, seconds in zip((*stats.stages, "total"), (*stats.stage_seconds, stats.total_seconds), strict=True):
            self.seconds.setdefault(stage, []).append(seconds)

    def add_truth(self, part: SampleInfo | DrivingCommand | ObjectPredictions | TimedPath) -> None:
        """A part of a key frame's truth; four of one stamp make it whole."""
        if isinstance(part, SampleInfo):
            if part.stamp_ns < self._newest_sample_ns:
                self.finish()
            self._newest_sample_ns = part.stamp_ns
        self._parts.setdefault(part.stamp_ns, {})[type(part)] = part
        self._score_decided()

    def finish(self) -> None:
        """Decide what still waits: nothing more of this drive will come."""
        truth = self._whole()
        for index in range(len(truth)):
            self._decide(truth, index)
        self.incomplete += len(self._parts) - len(truth)
        self._parts.clear()
        self._poses.clear()
        self._plans.clear()
        self._newest_sample_ns = 0

    def summary(self, seed: int = 0) -> OpenLoopSummary:
        """Of everything decided so far; the same bootstrap as offline for the same seed."""
        return summarise(self.scores, self.unscored, np.random.default_rng(seed))

    def evaluation(self, seed: int = 0) -> Evaluation:
        """Everything decided so far, as for bags; what lies under the plan (boxes, map) is not scored online."""
        scenes = tuple(self._worst)
        got = Gathered(
            scores=self.scores,
            missing=self.unscored,
            seconds=self.seconds,
            worst=[worst_case([s for s in self.scores if s.scene == scene], *self._worst[scene]) for scene in scenes],
            model_id=self.model_id or "none",
            device=self.device,
        )
        if self.incomplete:
            got.failures[INCOMPLETE_WORDS] = self.incomplete
        return Evaluation(("live graph",), scenes, (model_evaluation(got.model_id, got, seed),), {})

    def _score_decided(self) -> None:
        """Score the oldest key frames that have six whole ones with their poses after them."""
        while len(self._parts) > STEPS:
            truth = self._whole()[: STEPS + 1]
            if len(truth) <= STEPS or any(t.stamp_ns not in self._poses for t in truth):
                return
            self._decide(truth, 0)
            for stamp in [s for s in self._parts if s <= truth[0].stamp_ns]:
                self.incomplete += stamp != truth[0].stamp_ns
                del self._parts[stamp]

    def _whole(self) -> list[KeyFrameTruth]:
        """Key frames of which every part has come, in time order."""
        kinds = (SampleInfo, DrivingCommand, ObjectPredictions, TimedPath)
        whole = [parts for _, parts in sorted(self._parts.items()) if all(kind in parts for kind in kinds)]
        return [
            KeyFrameTruth(p[SampleInfo], p[DrivingCommand], p[ObjectPredictions], p[TimedPath], None) for p in whole
        ]

    def _decide(self, truth: list[KeyFrameTruth], index: int) -> None:
        now = truth[index]
        if any(t.stamp_ns not in self._poses for t in truth[index : index + STEPS + 1]):
            self.unscored[Unscored.NO_POSE] += 1
            return
        frame = truth_frame(truth, index, self._poses, self.base_from_lidar)
        found = planning_sample(frame, self._plans.get(now.stamp_ns), self.base_from_lidar)
        if isinstance(found, Unscored):
            self.unscored[found] += 1
        else:
            score = score_sample(found)
            self.scores.append(score)
            known = self._worst.get(score.scene)
            if known is None or badness(score) > badness(known[0]):
                self._worst[score.scene] = (score, now, self._plans[now.stamp_ns])
