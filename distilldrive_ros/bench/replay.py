"""Deterministic replay of a bag of realistic size with a baseline model: how much faster than it was recorded."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion
from distilldrive_ros.bench.measure import Measurement, Spread, timed
from distilldrive_ros.bench.scratch_dataset import make_scratch_dataset
from distilldrive_ros.cli.replay_settings import frame_settings
from distilldrive_ros.evaluation.replay import replay_to_folder
from distilldrive_ros.models.registry import load_model

TARGET_PACE = 20.0


def measure(quick: bool) -> list[Measurement]:
    """A scene as long as those of nuScenes: 20 s, six cameras and the LiDAR at 12 Hz. Opening the bag is included."""
    key_frames, turns, rounds = (2, 2, 1) if quick else (40, 6, 5)
    with tempfile.TemporaryDirectory(prefix="distilldrive-bench-") as scratch:
        folder = Path(scratch)
        dataset = make_scratch_dataset(folder / "root", np.random.default_rng(0), key_frames, turns)
        (converted,) = DatasetConversion(ConversionSettings(dataset.root, dataset.version, folder / "bags")).run()
        bag = folder / "bags" / converted.scene_name
        model, frames = load_model("constant_velocity"), frame_settings("nuscenes", key_frames_only=False)
        reports = []

        def replay() -> None:
            reports.append(replay_to_folder(bag, folder / "out", model, frames, force=True))

        times = [timed(replay) for _ in range(rounds)]
    report = reports[-1]
    median = Spread.of(times).median
    note = f"{report.sets} sets, {report.plans} plans, {report.duration_s:.1f} s recorded"
    return [
        Measurement("pace", report.duration_s / median, "times real time", TARGET_PACE, "higher", note),
        Measurement("per set", 1e3 * median / max(report.sets, 1), "ms"),
    ]
