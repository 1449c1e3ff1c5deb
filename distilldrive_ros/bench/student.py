"""Seconds per set of the student networks on this device, by stage."""

from __future__ import annotations

import itertools
import time

import numpy as np

from distilldrive_ros.bench.measure import Measurement, Spread
from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession

# Seconds per set that a model is held to on two CPU cores.
TARGETS_S = {"student_tiny": 0.4}
SETS = {"student": 3, "student_tiny": 12}


def measure(quick: bool) -> list[Measurement]:
    """Drive each model over a few sets with its history; the first set, which warms up, is left out."""
    found: list[Measurement] = []
    for name, sets in {"student_tiny": 2}.items() if quick else SETS.items():
        found += _measure_model(name, sets)
    return found


def _measure_model(name: str, sets: int) -> list[Measurement]:
    model = load_model(name, ModelRequest(device="auto"))
    session = ModelSession(model)
    totals: list[float] = []
    stages: dict[str, list[float]] = {}
    for frame in itertools.islice(sensor_frames(np.random.default_rng(0)), sets + 1):
        start = time.perf_counter()
        output = session.run(frame)
        total = time.perf_counter() - start
        if frame.sequence == 0:
            continue
        totals.append(total)
        for stage, seconds in output.stage_seconds.items():
            stages.setdefault(stage, []).append(seconds)
    spread = Spread.of(totals)
    note = f"{model.model_id} on {model.device}, median of {spread.count}"
    found = [Measurement(f"{name} per set", spread.median, "s", TARGETS_S.get(name), note=note)]
    found += [Measurement(f"{name} {stage}", Spread.of(values).median, "s") for stage, values in stages.items()]
    return found
