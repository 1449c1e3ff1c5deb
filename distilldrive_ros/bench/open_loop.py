"""Open-loop metrics for as many key frames as nuScenes' validation split has (6,019), made up."""

from __future__ import annotations

import resource

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bench.measure import Measurement, timed
from distilldrive_ros.evaluation.open_loop.calibration import calibration
from distilldrive_ros.evaluation.open_loop.perception import PerceptionPairs, perception_metrics
from distilldrive_ros.evaluation.open_loop.planning import PlanningSample, SampleScore, score_sample
from distilldrive_ros.evaluation.open_loop.summary import summarise
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.objects import CLASS_NAMES, ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

KEY_FRAMES, PER_SCENE, MODES, BOXES, LINES = 6019, 40, 18, 30, 12
# Key frames with other road users and lines; they repeat.
DISTINCT = 200
TARGET_S, TARGET_MIB = 60.0, 2048.0


def measure(quick: bool) -> list[Measurement]:
    """Score and summarise; the samples are made one by one, as from a bag; their making is not counted."""
    count = 80 if quick else KEY_FRAMES
    rng = np.random.default_rng(0)
    scores: list[SampleScore] = []
    planning = 0.0
    for index in range(count):
        sample = made_up_sample(rng, index)
        planning += timed(lambda sample=sample: scores.append(score_sample(sample)))  # type: ignore[misc]
    planning += timed(lambda: (summarise(scores), calibration(scores)))
    scenes = [made_up_perception(rng) for _ in range(DISTINCT)]
    drawn = [scenes[i % DISTINCT] for i in range(count)]
    pairs = PerceptionPairs([(t, f) for t, f, _, _ in drawn], [(t, f) for _, _, t, f in drawn])
    perception = timed(lambda: perception_metrics(pairs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"{count} key frames, {MODES} modes, {BOXES} road users, {LINES} map lines each"
    return [
        Measurement("all metrics", planning + perception, "s", TARGET_S, note=note),
        Measurement("planning", planning, "s"),
        Measurement("detection, futures and map", perception, "s"),
        Measurement("peak memory of this process", peak, "MiB", TARGET_MIB),
    ]


Perception = tuple[ObjectPredictions, ObjectPredictions, VectorMap, VectorMap]


def made_up_perception(rng: np.random.Generator) -> Perception:
    """Annotated and predicted road users and lines of a key frame."""
    places = rng.uniform(-40, 40, (BOXES, 2))
    lines = rng.uniform(-15, 15, LINES)
    return (
        _objects(rng, places, 1), _objects(rng, places + rng.normal(scale=0.8, size=places.shape), 6),
        _lines(rng, lines), _lines(rng, lines + rng.normal(scale=0.5, size=LINES)),
    )  # fmt: skip


def _objects(rng: np.random.Generator, places: NDArray[np.float64], modes: int) -> ObjectPredictions:
    def item(index: int) -> ObjectPrediction:
        x, y = places[index]
        way = places[index] + np.cumsum(rng.normal(size=(modes, 12, 2)), axis=1)
        return ObjectPrediction(
            index, CLASS_NAMES[index % len(CLASS_NAMES)], float(rng.uniform(0.2, 1)),
            np.array([x, y, 0, 4, 2, 1.5, 0]), rng.normal(size=2), 0.5, np.full(modes, 1 / modes, np.float32),
            way.astype(np.float32),
        )  # fmt: skip

    return ObjectPredictions(0, "base_link", "bench", tuple(item(i) for i in range(len(places))))


def _lines(rng: np.random.Generator, offsets: NDArray[np.float64]) -> VectorMap:
    x = np.linspace(-30, 30, 20)
    lines = tuple(
        MapPolyline(PolylineKind(i % 3), float(rng.uniform(0.3, 1)),
                    np.stack([x, y + rng.normal(scale=0.1, size=20)], axis=-1).astype(np.float32))
        for i, y in enumerate(offsets)
    )  # fmt: skip
    return VectorMap(0, "base_link", "bench", lines)


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
