"""A whole training: data, stage and loop put together, the weights written at the end."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import yaml
from torch.utils.data import DataLoader

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.pipeline.dataset import FrameDataset, LoadedBatch, collate
from distilldrive_ros.training.pipeline.frames import ImageSettings
from distilldrive_ros.training.pipeline.sequences import StreamingSampler, split_scenes
from distilldrive_ros.training.targets.scene_files import load_or_make_targets
from distilldrive_ros.training.trainer.checkpoints import (
    WEIGHTS_FILE,
    CheckpointFolder,
    refuse_old_training,
    write_weights,
)
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.config_file import plain
from distilldrive_ros.training.trainer.loop import Trainer, TrainingResult
from distilldrive_ros.training.trainer.processes import Processes, join_processes
from distilldrive_ros.training.trainer.stages import build_stage, frame_limits, student_config
from distilldrive_ros.training.whole_files import write_whole_file

CONFIG_FILE = "config.yaml"


def train(
    config: TrainConfig, out: Path, resume: bool, progress: Callable[[str], object] = lambda scene: None
) -> TrainingResult:
    """Train in the folder `out`; leaves `weights.safetensors`, checkpoints, logs and the configuration there.

    Args:
        config: what and how.
        out: folder of this training alone.
        resume: go on from its newest checkpoint; where there is none, start.
        progress: called with the name of each scene whose targets are ready.

    Raises:
        DistillDriveError: data, configuration, checkpoint or disk; the message says which and what helps.
    """
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    with join_processes(config.run.device) as processes:
        if not resume:
            # Asked by all before any work is done: nobody must be left waiting for one that has stopped.
            folder = CheckpointFolder(out, config, config.run.batch_size * processes.world_size)
            refuse_old_training(folder, out)
            processes.wait()
        stage = build_stage(config, processes.rank)
        trainer = Trainer(stage, config, out, processes)
        if processes.is_main:
            trainer.checkpoints.tidy()
            text = yaml.safe_dump(plain(config), sort_keys=False)
            write_whole_file(out / CONFIG_FILE, lambda stream: stream.write(text.encode()))
        start = trainer.resume() if resume else 0
        batches = _batches(config, processes, start, progress)
        result = trainer.run(batches, start)
        if processes.is_main:
            write_weights(out / WEIGHTS_FILE, stage.weights())
        processes.wait()
    return result


def _batches(
    config: TrainConfig, processes: Processes, start: int, progress: Callable[[str], object]
) -> Iterator[LoadedBatch]:
    """Batches of this process from iteration `start` on."""
    data, network = config.data, student_config(config)
    if not processes.is_main:
        processes.wait()  # the main process fills the cache first
    try:
        scenes = load_or_make_targets(data.dataroot, data.version, data.scenes, network.cameras, data.cache, progress)
    finally:
        if processes.is_main:
            processes.wait()
    if network.map.num_points != scenes[0].lines.shape[1]:
        raise ConfigurationError(f"targets have lines of 20 points, the network {network.map.num_points}; choose 20")
    sections = split_scenes([scene.key_frames for scene in scenes], data.sequence_parts)
    images = None
    if config.stage != "teacher":
        images = ImageSettings(network.image_width, network.image_height)
    frames = FrameDataset(
        scenes, sections, data.dataroot, images, config.augmentation, config.run.seed, data.cache, frame_limits(config)
    )
    sampler = StreamingSampler(sections, config.run.batch_size, config.run.seed, processes.rank, processes.world_size)
    sampler.start = start
    with warnings.catch_warnings():
        # One worker per core and more is the user's choice.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loader = DataLoader(
            frames,
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=data.workers,
            pin_memory=False,
        )
    return iter(loader)
