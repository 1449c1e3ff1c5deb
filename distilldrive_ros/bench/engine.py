"""The student's engine against the plain path: each optimisation alone, all of them, and a lower precision."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import torch

from distilldrive_ros.bench.measure import Measurement, Spread, paired_ratio
from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.models.distilldrive.engine import PLAIN, EngineOptions, StudentEngine
from distilldrive_ros.models.distilldrive.processor import build_student
from distilldrive_ros.models.distilldrive.state import StudentState

SETS = {"student": 2, "student_tiny": 6}
ENGINES = {
    "folded norms": replace(PLAIN, fold_batch_norm=True),
    "channels last": replace(PLAIN, channels_last=True),
    "compiled op": replace(PLAIN, compiled_aggregation=True),
    "engine": EngineOptions(),
    "engine bfloat16": EngineOptions(precision="bfloat16"),
}
# How many times faster than the plain path the full-size network shall be.
TARGETS = {("student", "engine"): 1.5}


def measure(quick: bool) -> list[Measurement]:
    """Networks alone, without images to decode; the first set, which warms up, is left out."""
    found: list[Measurement] = []
    for name, sets in {"student_tiny": 1}.items() if quick else SETS.items():
        found += _measure_engines(name, sets)
    return found


def _measure_engines(name: str, sets: int) -> list[Measurement]:
    """All engines set by set in turns, so that a busy machine slows all of them."""
    model = build_student(name)
    options = {"plain": PLAIN, **ENGINES}
    engines = {label: StudentEngine(model.network, chosen) for label, chosen in options.items()}
    states: dict[str, StudentState | None] = dict.fromkeys(engines)
    times: dict[str, list[float]] = {label: [] for label in engines}
    with torch.inference_mode():
        for frame in itertools.islice(sensor_frames(np.random.default_rng(0)), sets + 1):
            inputs = model.prepare(frame).inputs.to(torch.device(model.device))
            for label, engine in engines.items():
                start = time.perf_counter()
                levels = engine.extract_features(inputs.images)
                states[label], _ = engine.decode_features(states[label], levels, inputs)
                if model.device != "cpu":
                    torch.cuda.synchronize()
                if frame.sequence > 0:
                    times[label].append(time.perf_counter() - start)
    note = f"on {model.device}, median of {sets}"
    found = [Measurement(f"{name}, plain path", Spread.of(times["plain"]).median, "s", note=note)]
    found.append(Measurement(f"{name}, engine", Spread.of(times["engine"]).median, "s"))
    for label in ENGINES:
        ratio = paired_ratio(times["plain"], times[label])
        target = TARGETS.get((name, label))
        found.append(Measurement(f"{name}, {label} against plain", ratio, "x", target, "higher"))
    return found
