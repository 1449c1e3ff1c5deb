"""A whole training: data, stage and loop put together, the weights written at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from distilldrive_ros.training.trainer.checkpoints import (
    WEIGHTS_FILE,
    CheckpointFolder,
    refuse_old_training,
    write_weights,
)
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.config_file import plain
from distilldrive_ros.training.trainer.data import batches, training_frames
from distilldrive_ros.training.trainer.held_out import HeldOut, divided
from distilldrive_ros.training.trainer.loop import Trainer, TrainingResult
from distilldrive_ros.training.trainer.processes import join_processes
from distilldrive_ros.training.trainer.stages import build_stage
from distilldrive_ros.training.whole_files import write_whole_file

CONFIG_FILE = "config.yaml"


def train(
    config: TrainConfig, out: Path, resume: bool, progress: Callable[[str], object] = lambda scene: None
) -> TrainingResult:
    """Train in the folder `out`; leaves `weights.safetensors`, checkpoints, logs and the configuration there, and with
    frames held out `weights_best.safetensors`.

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
        learned, apart = divided(config)
        frames = training_frames(learned, processes, progress)
        held_out = None
        if apart is not None and config.run.held_out_interval:
            held_out = HeldOut(training_frames(apart, processes, progress), apart, processes.device)
        result = trainer.run(batches(config, processes, start, frames), start, held_out)
        if processes.is_main:
            write_weights(out / WEIGHTS_FILE, stage.weights())
        processes.wait()
    return result
