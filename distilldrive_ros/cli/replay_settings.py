"""Arguments and rules that `replay` and `evaluate` share: rig, key frames, model."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace

from distilldrive_ros.evaluation.bag_frames import FrameSettings
from distilldrive_ros.models.registry import PRECISIONS
from distilldrive_ros.nodes.parameters.tables.sensor_sync import SensorSyncConfiguration
from distilldrive_ros.nodes.sensing.rig import load_rig
from distilldrive_ros.nodes.sensing.sync_rules import sync_config, with_needs


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    """Rig, device, precision, threads."""
    parser.add_argument("--rig", default="nuscenes", help="sensors: file in config/rigs, or a path (%(default)s)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--precision", default="fp32", choices=PRECISIONS, help="of the image networks (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="of the network; 0: as many as cores")


def frame_settings(rig: str, key_frames_only: bool, models: Sequence[str] = ()) -> FrameSettings:
    """The graph's rules for playing a bag: the defaults of `sensor_sync`, waiting for the command of each key frame.

    Sets hold what the models need.

    Raises:
        ConfigurationError: no such rig, or it lacks what a model needs.
    """
    found = load_rig(rig)
    parameters = with_needs(replace(SensorSyncConfiguration(), rig=rig, wait_for_command=True), found, models)
    return FrameSettings(sync_config(parameters, found), key_frames_only=key_frames_only)


def limit_threads(count: int) -> None:
    """Let the network use that many processor threads; 0 leaves it as it is. Call before a model is loaded."""
    if count > 0:
        os.environ["OMP_NUM_THREADS"] = str(count)
