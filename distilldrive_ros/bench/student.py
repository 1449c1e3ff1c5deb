"""Seconds per set of the student networks on this device, by stage, and the engine against the plain path."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from distilldrive_ros.bench.load import timed_on
from distilldrive_ros.bench.measure import Measurement, Spread, paired_ratio
from distilldrive_ros.bench.stages import StageTimes, load_of
from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.models.distilldrive.adapter import (
    DecodeSettings,
    object_predictions,
    plan_candidates,
    vector_map,
)
from distilldrive_ros.models.distilldrive.config import DistillDriveConfig
from distilldrive_ros.models.distilldrive.device_images import DeviceImages
from distilldrive_ros.models.distilldrive.engine import PLAIN, EngineOptions, StudentEngine, StudentStep
from distilldrive_ros.models.distilldrive.outputs import StudentInputs
from distilldrive_ros.models.distilldrive.preprocess import decode_image, normalize_into, resize_and_crop
from distilldrive_ros.models.distilldrive.processor import DistillDriveModel, build_student
from distilldrive_ros.models.distilldrive.state import StudentState
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.models.set_checks import required_camera
from distilldrive_ros.scene.sensor_frame import SensorFrame

# Seconds per set that a model is held to on two CPU cores.
TARGETS_S = {"student_tiny": 0.4, "diffusiondrive_tiny": 0.4}
SETS = {"student": 3, "student_tiny": 12}
# Sets for the comparison of engines, of which there are several.
ENGINE_SETS = {"student": 2, "student_tiny": 6}
# The same on a GPU, where they are quick.
GPU_SETS = 50
# Sets per second, from the camera's streams to the plans, that a model is held to on an H200.
GPU_RATES = {"student": 100.0, "diffusiondrive": 200.0}
# Plain path first; then each optimisation alone, all of them, and all at a lower precision of the image network.
ENGINES = {
    "plain": PLAIN,
    "folded norms": replace(PLAIN, fold_batch_norm=True),
    "channels last": replace(PLAIN, channels_last=True),
    "compiled op": replace(PLAIN, compiled_aggregation=True),
    "factored weights": replace(PLAIN, factored_weights=True),
    "engine": EngineOptions(),
    "engine bf16": EngineOptions(precision="bf16"),
}
# What a device can compute with, of the image network's precisions.
CAPTURED_PRECISIONS = {"cpu": ("fp32",), "cuda": ("fp32", "bf16", "fp16")}
# How many times faster than the plain path the full-size network shall be.
ENGINE_TARGET = 1.5


def measure(quick: bool) -> list[Measurement]:
    """Drive each model over a few sets with its history; the first set, which warms up, is left out."""
    found: list[Measurement] = []
    for name, sets in {"student_tiny": 2}.items() if quick else SETS.items():
        model = build_student(name)
        if model.device != "cpu" and not quick:
            sets = GPU_SETS
        found += measure_model(name, model, sets)
        found += _measure_stages(name, model, sets)
        engine_sets = sets if model.device != "cpu" else min(sets, ENGINE_SETS[name])
        found += _measure_engines(name, model, engine_sets)
        found += _measure_captured(name, model, engine_sets)
    return found


def measure_model(name: str, model: DrivingModel, sets: int) -> list[Measurement]:
    """Seconds per set of any model, in all and by stage; the first set, which warms up, is left out."""
    session = ModelSession(model)
    totals: list[float] = []
    stages: dict[str, list[float]] = {}
    for frame in _frames(sets):
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
    found.append(Measurement(f"{name} per set, 99th percentile", spread.p99, "s"))
    target = GPU_RATES.get(name) if model.device != "cpu" else None
    found.append(Measurement(f"{name} sets per second", 1 / spread.median, "1/s", target, "higher"))
    return found + [Measurement(f"{name} {stage}", Spread.of(values).median, "s") for stage, values in stages.items()]


def _measure_stages(name: str, model: DistillDriveModel, sets: int) -> list[Measurement]:
    """The engine taken apart, from the JPEG streams to the plans; the first set, which warms up, is left out."""
    device, config = torch.device(model.device), model.config
    engine, settings = StudentEngine(model.network), DecodeSettings()
    on_device = DeviceImages(device)
    heads = engine.network.head
    parts = {"backbone": engine.backbone, "neck": engine.neck, "detection": heads.det_head, "map": heads.map_head,
             "motion": heads.motion_plan_head}  # fmt: skip
    times, state = StageTimes(device), None
    with torch.inference_mode(), ThreadPoolExecutor(config.num_cameras) as pool:
        for frame in _frames(sets):
            if frame.sequence == 1:
                times = StageTimes(device)
            with times.stage("decode"):
                images = list(
                    pool.map(decode_image, [required_camera(frame, camera).data for camera in config.cameras])
                )
            with times.stage("resize"):
                if device.type == "cuda":
                    on_device([np.asarray(image) for image in images], config.image_width, config.image_height, pool)
                else:
                    _resize(images, pool, config)
            prepared = model.prepare(frame)
            with times.stage("transfer"):
                inputs = prepared.inputs.to(device)
            with times.modules(parts):
                levels = engine.extract_features(inputs.images)
                state, outputs = engine.decode_features(state, levels, inputs)
            with times.stage("selection"):
                plan_candidates(outputs, prepared, config, settings.rescore, model.model_id)
                object_predictions(outputs, prepared, config, settings.min_object_score, model.model_id)
                vector_map(outputs, prepared, config, settings.min_map_score, model.model_id)

        def run() -> None:
            engine.decode_features(state, engine.extract_features(inputs.images), inputs)

        return times.measurements(f"{name} stage:") + load_of(f"{name} network", run, device)


def _resize(images: list[Image.Image], pool: ThreadPoolExecutor, config: DistillDriveConfig) -> None:
    """Resize, crop and normalise, as `prepare_images` does after decoding."""
    out = np.zeros((len(images), 3, config.image_height, config.image_width), np.float32)

    def work(index: int) -> None:
        normalize_into(resize_and_crop(images[index], config.image_width, config.image_height), out[index])

    list(pool.map(work, range(len(images))))


def _measure_engines(name: str, model: DistillDriveModel, sets: int) -> list[Measurement]:
    """Network alone, all engines set by set in turns, so that a busy machine slows all of them."""
    device = torch.device(model.device)
    engines = {label: StudentEngine(model.network, options) for label, options in ENGINES.items()}
    states: dict[str, StudentState | None] = dict.fromkeys(engines)
    times: dict[str, list[float]] = {label: [] for label in engines}
    with torch.inference_mode():
        for frame in _frames(sets):
            inputs = model.prepare(frame).inputs.to(device)
            for label, engine in engines.items():

                def run(label: str = label, engine: StudentEngine = engine, inputs: StudentInputs = inputs) -> None:
                    levels = engine.extract_features(inputs.images)
                    states[label], _ = engine.decode_features(states[label], levels, inputs)

                seconds = timed_on(device, run)
                if frame.sequence > 0:
                    times[label].append(seconds)
    found = [Measurement(f"{name} network, plain path", Spread.of(times["plain"]).median, "s")]
    for label in list(ENGINES)[1:]:
        ratio = paired_ratio(times["plain"], times[label])
        target = ENGINE_TARGET if label == "engine" and name == "student" else None
        found.append(Measurement(f"{name} network, {label} against plain", ratio, "x", target, "higher"))
    return found


def _measure_captured(name: str, model: DistillDriveModel, sets: int) -> list[Measurement]:
    """The network's whole step in fixed memory, from prepared inputs to outputs on the CPU, by precision."""
    found = []
    for precision in CAPTURED_PRECISIONS[torch.device(model.device).type]:
        step = StudentEngine(model.network, EngineOptions(precision=precision)).captured_step()
        spread, report = Spread.of(_captured_seconds(step, model, sets)), step.report
        note = f"{report}, 99th percentile {spread.p99:.4g} s"
        found.append(Measurement(f"{name} network, fixed memory {precision}", spread.median, "s", note=note))
    return found


def _captured_seconds(step: StudentStep, model: DistillDriveModel, sets: int) -> list[float]:
    """Seconds of every set but the first, which has no history."""
    state: StudentState | None = None
    seconds = []
    for frame in _frames(sets):
        inputs = model.prepare(frame).inputs

        def run(inputs: StudentInputs = inputs) -> None:
            nonlocal state
            state, _ = step.run(state, inputs)

        seconds.append(timed_on(torch.device(model.device), run))
    return seconds[1:]


def _frames(sets: int) -> Iterator[SensorFrame]:
    return itertools.islice(sensor_frames(np.random.default_rng(0)), sets + 1)
