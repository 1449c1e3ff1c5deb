"""Open-loop planning metrics for as many key frames as nuScenes' validation split has (6,019), made up."""

from __future__ import annotations

import resource

import numpy as np

from distilldrive_ros.bench.measure import Measurement, timed
from distilldrive_ros.evaluation.open_loop.calibration import calibration
from distilldrive_ros.evaluation.open_loop.planning import PlanningSample, SampleScore, score_sample
from distilldrive_ros.evaluation.open_loop.summary import summarise
from distilldrive_ros.scene.command import Command

KEY_FRAMES, PER_SCENE, MODES, BOXES = 6019, 40, 18, 30
TARGET_S, TARGET_MIB = 60.0, 2048.0


def measure(quick: bool) -> list[Measurement]:
    """Score and summarise; the samples are made one by one, as from a bag; their making is not counted."""
    count = 80 if quick else KEY_FRAMES
    rng = np.random.default_rng(0)
    scores: list[SampleScore] = []
    seconds = 0.0
    for index in range(count):
        sample = made_up_sample(rng, index)
        seconds += timed(lambda sample=sample: scores.append(score_sample(sample)))  # type: ignore[misc]
    seconds += timed(lambda: (summarise(scores), calibration(scores)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"{count} key frames, {MODES} modes, {BOXES} road users each"
    return [
        Measurement("planning metrics", seconds, "s", TARGET_S, note=note),
        Measurement("peak memory of this process", peak, "MiB", TARGET_MIB),
    ]


def made_up_sample(rng: np.random.Generator, index: int) -> PlanningSample:
    """A drive straight on with modes that scatter about it and road users on both sides, some in the way."""
    steps = np.arange(1, 7)
    truth = np.stack([np.zeros(6), 4.0 * steps], axis=-1)
    modes = truth + rng.normal(scale=0.3, size=(MODES, 6, 2)) * steps[:, None]
    boxes = np.stack(
        [
            rng.uniform(-20, 20, BOXES), rng.uniform(-20, 60, BOXES), rng.uniform(1, 10, BOXES),
            rng.uniform(0.5, 2.5, BOXES), rng.uniform(-np.pi, np.pi, BOXES),
        ],
        axis=-1,
    )  # fmt: skip
    return PlanningSample(
        scene=f"scene-{index // PER_SCENE}",
        stamp_ns=index * 500_000_000,
        command=Command(index % 3),
        truth=truth,
        modes=modes,
        scores=rng.uniform(size=MODES),
        selected=0,
        rectangles=np.tile(boxes, (6, 1)),
        steps=np.repeat(np.arange(6), BOXES),
        on_grid=np.ones(6 * BOXES, np.bool_),
    )
