"""Anchors by k-means over the targets of a data set (spec 4.2, 5, 6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.models.distilldrive.anchors import procedural_anchors
from distilldrive_ros.models.distilldrive.config import NUM_COMMANDS, DistillDriveConfig
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.targets.scene import SceneTargets

Array = NDArray[np.float64]

DIFFUSION_MODES = 20
# Restarts of small clusterings; the best counts.
_RESTARTS = 8


@dataclass(frozen=True)
class ClusteredAnchors:
    """Cluster centres, float32, and what could not be clustered in words.

    detection (N, 11) undecoded boxes; map (M, S, 2); motion (classes, modes, steps, 2) in the agent's frame; plan
    (commands, modes, steps, 2), LiDAR frame; diffusion (20, 8, 2), positions at 0.5 s steps in base_link (x forward).
    """

    detection: NDArray[np.float32]
    map: NDArray[np.float32]
    motion: NDArray[np.float32]
    plan: NDArray[np.float32]
    diffusion: NDArray[np.float32]
    notes: tuple[str, ...]


def cluster_anchors(scenes: Sequence[SceneTargets], config: DistillDriveConfig, seed: int) -> ClusteredAnchors:
    """Cluster what the scenes hold. Where they hold less than there are anchors, plain geometry fills up; see `notes`.

    Raises:
        ConfigurationError: scikit-learn is not installed, the network plans other steps than the targets have, or no
            scene has a drive of 4 s.
    """
    plain = procedural_anchors(config)
    notes: list[str] = []
    centres = np.concatenate([scene.boxes[:, :3] for scene in scenes]).astype(np.float64)
    detection = plain.detection.numpy().copy()
    found = k_means(centres, len(detection), seed)
    detection[: len(found), :3] = found
    _note(notes, "detection", len(found), len(detection), "road users")

    middles = np.concatenate([scene.lines.mean(axis=1) for scene in scenes]).astype(np.float64)
    lines = plain.map.numpy().reshape(config.map.num_anchors, config.map.num_points, 2).copy()
    found = k_means(middles, len(lines), seed)
    lines[: len(found)] += (found - lines[: len(found)].mean(axis=1))[:, None]
    _note(notes, "map", len(found), len(lines), "polylines")

    return ClusteredAnchors(
        detection,
        lines,
        _motion(scenes, plain.motion.numpy().copy(), seed, notes),
        _plan(scenes, plain.plan.numpy().copy(), seed, notes),
        _diffusion(scenes, seed, notes),
        tuple(notes),
    )


def k_means(points: Array, clusters: int, seed: int) -> Array:
    """Centres (K, D) of points (N, D), in the order of their coordinates; K < `clusters` where points are too few.

    Raises:
        ConfigurationError: scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans  # an extra: imported where it is needed
    except ImportError as error:
        raise ConfigurationError(
            "k-means needs scikit-learn, which is not installed; install the extra `train` (requirements-train.txt)"
        ) from error
    distinct = np.unique(points, axis=0)
    if len(distinct) <= clusters:
        return distinct
    restarts = _RESTARTS if len(points) * clusters < 1_000_000 else 1
    fitted = KMeans(clusters, n_init=restarts, random_state=seed).fit(points)
    return np.unique(np.asarray(fitted.cluster_centers_, np.float64), axis=0)


def _note(notes: list[str], what: str, found: int, wanted: int, of: str) -> None:
    if found < wanted:
        notes.append(f"{what}: only {found} distinct {of} for {wanted} anchors; plain geometry for the others")


def _motion(
    scenes: Sequence[SceneTargets], anchors: NDArray[np.float32], seed: int, notes: list[str]
) -> NDArray[np.float32]:
    """Futures that are known to the end, turned into the agent's frame, per class."""
    steps = anchors.shape[2]
    if any(scene.offsets.shape[1] != steps for scene in scenes):
        raise ConfigurationError(f"targets have futures of 12 steps, the network {steps}; set motion.agent_steps to 12")
    offsets = np.concatenate([scene.offsets for scene in scenes]).astype(np.float64)
    valid = np.concatenate([scene.valid for scene in scenes]).all(axis=1)
    yaw = np.concatenate([scene.boxes[:, 6] for scene in scenes])[valid].astype(np.float64)
    labels = np.concatenate([scene.labels for scene in scenes])[valid]
    places = np.cumsum(offsets[valid], axis=1)
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    own = np.stack([c * places[..., 0] + s * places[..., 1], c * places[..., 1] - s * places[..., 0]], axis=-1)
    for label, name in enumerate(CLASS_NAMES):
        found = k_means(own[labels == label].reshape(-1, 2 * steps), anchors.shape[1], seed)
        anchors[label, : len(found)] = found.reshape(-1, steps, 2)
        _note(notes, f"motion of {name}", len(found), anchors.shape[1], "whole futures")
    return anchors


def _plan(
    scenes: Sequence[SceneTargets], anchors: NDArray[np.float32], seed: int, notes: list[str]
) -> NDArray[np.float32]:
    steps = anchors.shape[2]
    if any(scene.ego_offsets.shape[1] != steps for scene in scenes):
        raise ConfigurationError(f"targets have plans of 6 steps, the network {steps}; set motion.ego_steps to 6")
    valid = np.concatenate([scene.ego_valid for scene in scenes]).all(axis=1)
    commands = np.concatenate([scene.commands for scene in scenes])[valid]
    places = np.cumsum(np.concatenate([scene.ego_offsets for scene in scenes])[valid], axis=1)
    for command in range(NUM_COMMANDS):
        found = k_means(places[commands == command].reshape(-1, 2 * steps), anchors.shape[1], seed)
        anchors[command, : len(found)] = found.reshape(-1, steps, 2)
        _note(notes, f"plan {Command(command).name.lower()}", len(found), anchors.shape[1], "drives of 3 s")
    return anchors


def _diffusion(scenes: Sequence[SceneTargets], seed: int, notes: list[str]) -> NDArray[np.float32]:
    valid = np.concatenate([scene.drive_valid for scene in scenes]).all(axis=1)
    drives = np.concatenate([scene.drive for scene in scenes])[valid][..., :2].astype(np.float64)
    if not len(drives):
        raise ConfigurationError("no scene has a drive of 4 s, so there is nothing to cluster; name longer scenes")
    found = k_means(drives.reshape(len(drives), -1), DIFFUSION_MODES, seed)
    if len(found) < DIFFUSION_MODES:
        notes.append(f"diffusion: only {len(found)} distinct drives of 4 s for {DIFFUSION_MODES} modes; some repeat")
    return np.resize(found, (DIFFUSION_MODES, found.shape[1])).reshape(DIFFUSION_MODES, -1, 2).astype(np.float32)
