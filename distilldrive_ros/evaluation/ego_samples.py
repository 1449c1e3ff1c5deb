"""Samples for models that see the vehicle's own motion only: what they are given at a key frame, and the way driven."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.ground_truth import read_ground_truth
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.evaluation.bag_frames import BagFrames, FrameSettings
from distilldrive_ros.evaluation.open_loop.planning import STEP_S, STEPS
from distilldrive_ros.models.ego_mlp.features import FEATURE_COUNT, EgoHistory, advanced, features
from distilldrive_ros.models.interface import SensorRequirements
from distilldrive_ros.models.motion_history import require_motion
from distilldrive_ros.scene.errors import BagError
from distilldrive_ros.scene.sensor_frame import Discontinuity

BLIND = SensorRequirements(cameras=(), lidar=False, period_s=0.0, max_gap_s=1.0)
STAMP_TOLERANCE_NS = 1_000_000


@dataclass(frozen=True)
class EgoSamples:
    """Of one scene: features (N, 15), ways (N, 6, 2) in base_link; `short`: key frames within 3 s of the end."""

    scene: str
    features: NDArray[np.float32]
    ways: NDArray[np.float32]
    short: int


def read_ego_samples(path: Path, frames: FrameSettings) -> EgoSamples:
    """Samples of a converted bag of one scene, by way of the sets that a model would be given.

    Raises:
        BagError: no ground truth, or several scenes.
    """
    with open_bag(path) as bag:
        truth = {t.stamp_ns: t for t in read_ground_truth(bag)}
        scenes = {t.sample.scene_name for t in truth.values()}
        if len(scenes) != 1:
            raise BagError(f"{path} holds {len(scenes)} scenes; samples are taken from bags of one scene each")
        history: EgoHistory | None = None
        given, ways = [], []
        for frame in BagFrames(bag, frames.fitted(bag, BLIND)):
            if frame.discontinuity is not Discontinuity.NONE:
                history = None
            history = advanced(history, require_motion(frame))
            driven = truth[frame.stamp_ns].path if frame.stamp_ns in truth else None
            wanted = frame.stamp_ns + np.rint(np.arange(1, STEPS + 1) * STEP_S * 1e9).astype(np.int64)
            if driven is None or len(driven.stamps_ns) < STEPS:
                continue
            if np.abs(driven.stamps_ns[:STEPS] - wanted).max() <= STAMP_TOLERANCE_NS:
                given.append(features(history, frame.command))
                ways.append(driven.positions[:STEPS])
    return EgoSamples(
        scenes.pop(),
        np.array(given, np.float32).reshape(-1, FEATURE_COUNT),
        np.array(ways, np.float32).reshape(-1, STEPS, 2),
        len(truth) - len(given),
    )
