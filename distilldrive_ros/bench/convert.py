"""Throughput of the converter against a plain copy of the same files, in turns, in one run."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion
from distilldrive_ros.bench.measure import Measurement, Spread, paired_ratio, timed
from distilldrive_ros.bench.scratch_dataset import ScratchDataset, make_scratch_dataset

TARGET_RATIO = 0.5


def measure(quick: bool) -> list[Measurement]:
    """Make a scratch data set, then copy and convert it in turns.

    The conversion counts from opening the tables to the finished bag. Both write to the same disk, start on a quiet one
    (`sync`), and find their source in the page cache; one turn of both beforehand is not counted.
    """
    key_frames, turns, rounds = (2, 2, 1) if quick else (20, 6, 9)
    with tempfile.TemporaryDirectory(prefix="distilldrive-bench-") as scratch:
        folder = Path(scratch)
        dataset = make_scratch_dataset(folder / "root", np.random.default_rng(0), key_frames, turns)
        _copy(dataset, folder / "warm-up")
        _convert(dataset, folder / "warm-up-bags")
        copies, conversions = [], []
        for _ in range(rounds):
            os.sync()
            copies.append(timed(lambda: _copy(dataset, folder / "copy")))
            os.sync()
            conversions.append(timed(lambda: _convert(dataset, folder / "bags")))
            bag_size = sum(path.stat().st_size for path in (folder / "bags").rglob("*.mcap"))
            shutil.rmtree(folder / "copy")
            shutil.rmtree(folder / "bags")
    size = dataset.size / 1e6
    return [
        Measurement(
            "throughput against plain copy",
            paired_ratio(copies, conversions),
            "of it",
            TARGET_RATIO,
            "higher",
            f"{len(dataset.files)} files, {size:.0f} MB",
        ),
        Measurement("converter", size / Spread.of(conversions).median, "MB/s"),
        Measurement("plain copy", size / Spread.of(copies).median, "MB/s"),
        Measurement("bag size", bag_size / 1e6, "MB"),
    ]


def _copy(dataset: ScratchDataset, target: Path) -> None:
    for path in dataset.files:
        copy = target / path.relative_to(dataset.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _convert(dataset: ScratchDataset, target: Path) -> None:
    for _ in DatasetConversion(ConversionSettings(dataset.root, dataset.version, target)).run():
        pass
