"""Losses on frames that training never sees, and the weights that did best there."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.diffusion.augmentation import NO_CHANGE
from distilldrive_ros.training.pipeline.augmentation import NO_AUGMENTATION
from distilldrive_ros.training.pipeline.loaded import LoadedBatch
from distilldrive_ros.training.pipeline.sequences import FrameRequest, Section
from distilldrive_ros.training.stages.stage import TrainedPart, total
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.data import Frames, loader
from distilldrive_ros.training.trainer.logs import read_log

BEST_WEIGHTS_FILE = "weights_best.safetensors"
TOTAL = "held_out/total"


def divided(config: TrainConfig) -> tuple[TrainConfig, TrainConfig | None]:
    """The frames to train on and those held out, as configurations of their data; None where none are.

    Held-out scenes are whole sequences without augmentation.

    Raises:
        DatasetError: a root or one of the named scenes is not there.
        ConfigurationError: no scene is left to train on.
    """
    data = config.data
    if not data.held_out:
        return config, None
    root, version = data.held_out_dataroot or data.dataroot, data.held_out_version or data.version
    apart = replace(data, dataroot=root, version=version, scenes=data.held_out_scenes, sequence_parts=1)
    held_out = replace(config, data=apart, augmentation=NO_AUGMENTATION, diffusion_augmentation=NO_CHANGE)
    if (root, version) != (data.dataroot, data.version):
        return config, held_out
    nuscenes = NuScenes(root, version)
    left_out = {nuscenes.scene(name).name for name in data.held_out_scenes}
    names = data.scenes or tuple(scene.name for scene in nuscenes.scenes)
    kept = tuple(name for name in names if name not in left_out)
    if not kept:
        raise ConfigurationError(
            f"all {len(names)} scenes are held out and none is left to train on; shorten data.held_out_scenes"
        )
    return replace(config, data=replace(data, scenes=kept)), held_out


def sequence_batches(sections: Sequence[Section], lanes: int) -> Iterator[list[FrameRequest]]:
    """Requests that walk through sections side by side, at most `lanes` of them, those of like length together.

    All of a group start together and end with the shortest; what is longer of the others is not looked at.
    """
    order = sorted(range(len(sections)), key=lambda number: sections[number].last - sections[number].first)
    for start in range(0, len(order), lanes):
        group = order[start : start + lanes]
        for step in range(sections[group[0]].last - sections[group[0]].first):
            yield [
                FrameRequest(number, sections[number].first + step, step == 0, start + lane, step, lane)
                for lane, number in enumerate(group)
            ]


class HeldOut:
    """The frames held out, and the lowest total that a training has had on them."""

    def __init__(self, frames: Frames, config: TrainConfig, device: torch.device) -> None:
        """`config`: that of `frames`; batches are as large as in training."""
        self.batches = loader(config, frames, list(sequence_batches(frames.sections, config.run.batch_size)))
        self._device = device
        self._seed = config.run.seed
        self._best = float("inf")

    def take_up(self, folder: Path) -> None:
        """Know the lowest total that the log of a training holds."""
        self._best = min([row[TOTAL] for row in read_log(folder) if TOTAL in row], default=float("inf"))

    def losses(self, stage: TrainedPart, batches: Iterable[LoadedBatch[Any]]) -> dict[str, float]:
        """Means over the frames of `batches`, which are all of its own, and their total: by the names of the stage's
        terms, and with the same draws every time.

        All modules are in evaluation mode afterwards. What the stage remembers of its streams stays as it is. Every
        process looks at all frames.
        """
        # Shares the networks with the stage, but forgets and remembers on its own.
        twin = copy.copy(stage).eval()
        twin.forget()
        twin.reseed(self._seed)
        sums: dict[str, float] = {}
        count = 0
        with torch.no_grad():
            for loaded in batches:
                batch = loaded.batch.to(self._device)
                terms: dict[str, Tensor] = twin(batch)
                for name, value in {**terms, "total": total(terms)}.items():
                    sums[name] = sums.get(name, 0.0) + float(value) * batch.size
                count += batch.size
        return {f"held_out/{name}": value / count for name, value in sums.items()}

    def is_best(self, losses: dict[str, float]) -> bool:
        """Whether this is the lowest total so far, which it then is."""
        better = losses[TOTAL] < self._best
        if better:
            self._best = losses[TOTAL]
        return better
