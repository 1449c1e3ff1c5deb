"""Annotated frames made from a random generator, small enough for every test."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.map_expansion import open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.models.distilldrive.config import STATUS_SIZE, DistillDriveConfig, student_tiny
from distilldrive_ros.scene.command import Command
from distilldrive_ros.training.batch import (
    DEPTH_STRIDES,
    AgentTargets,
    CameraBatch,
    EgoTargets,
    MapTargets,
    TrainingBatch,
)

BatchFactory = Callable[..., TrainingBatch]


def make_agents(count: int, generator: torch.Generator, steps: int = 12) -> AgentTargets:
    """Road users of all classes around the ego; every third one is annotated for three steps only."""
    boxes = 2 * torch.rand(count, 9, generator=generator) - 1
    boxes = boxes * torch.tensor([30, 30, 0.5, 1, 0.3, 0.3, math.pi, 4, 4]) + torch.tensor(
        [0, 0, -1, 4.5, 1.9, 1.6, 0, 0, 0]
    )
    valid = torch.ones(count, steps)
    valid[::3, 3:] = 0
    offsets = (2 * torch.rand(count, steps, 2, generator=generator) - 1) * valid[..., None]
    return AgentTargets(boxes, torch.arange(count) % 10, torch.arange(count), offsets, valid)


def make_map(count: int, generator: torch.Generator, points: int = 20) -> MapTargets:
    """Straight open lines: two orderings, the others unused."""
    ends = (2 * torch.rand(count, 2, 2, generator=generator) - 1) * torch.tensor([15.0, 30.0])
    share = torch.linspace(0, 1, points)[:, None]
    lines = ends[:, None, 0] * (1 - share) + ends[:, None, 1] * share
    orderings = torch.full((count, 2 * (points - 1), points, 2), 1e5)
    orderings[:, 0], orderings[:, 1] = lines, lines.flip(1)
    return MapTargets(orderings, torch.arange(count) % 3)


def make_cameras(config: DistillDriveConfig, streams: int, generator: torch.Generator) -> CameraBatch:
    """Noise seen by level cameras that are evenly spread over all headings."""
    count, width, height = config.num_cameras, config.image_width, config.image_height
    focal = 0.8 * width
    projections = []
    for heading in torch.arange(count) * (2 * math.pi / count):
        c, s = heading.cos(), heading.sin()
        intrinsic, extrinsic = torch.eye(4), torch.eye(4)
        intrinsic[0, 0] = intrinsic[1, 1] = focal
        intrinsic[:2, 2] = torch.tensor([width / 2, height / 2])
        extrinsic[:3, :3] = torch.tensor([[c, s, 0], [0, 0, -1], [-s, c, 0]])
        projections.append(intrinsic @ extrinsic)
    shape = (streams, count)
    depth = tuple(
        torch.where(
            torch.rand(*shape, height // s, width // s, generator=generator) < 0.2,
            60 * torch.rand(*shape, height // s, width // s, generator=generator),
            torch.tensor(-1.0),
        )
        for s in DEPTH_STRIDES
    )
    return CameraBatch(
        torch.randn(*shape, 3, height, width, generator=generator),
        torch.stack(projections).expand(streams, -1, -1, -1),
        torch.tensor([float(width), float(height)]).expand(*shape, 2),
        torch.full(shape, focal),
        depth,
    )


@pytest.fixture(scope="session")
def make_batch() -> BatchFactory:
    """Frame t of `streams` streams that drive 4 m per frame; deterministic in its arguments."""

    def make(t: int = 0, streams: int = 2, agents: int = 7, lines: int = 4, images: bool = False) -> TrainingBatch:
        generator = torch.Generator().manual_seed(t)
        world_from_lidar = torch.eye(4, dtype=torch.float64).repeat(streams, 1, 1)
        world_from_lidar[:, 1, 3] = 4.0 * t
        step = torch.tensor([0.1, 2.0]).expand(streams, 6, 2)
        return TrainingBatch(
            tokens=tuple(f"stream{row}-frame{t}" for row in range(streams)),
            timestamp=torch.full((streams,), 100.0 + 0.5 * t, dtype=torch.float64),
            world_from_lidar=world_from_lidar,
            restart=torch.full((streams,), t == 0),
            agents=tuple(make_agents(agents + row, generator) for row in range(streams)),
            maps=tuple(make_map(lines + row, generator) for row in range(streams)),
            ego=EgoTargets(
                step + 0.05 * torch.randn(streams, 6, 2, generator=generator),
                torch.ones(streams, 6),
                torch.full((streams,), int(Command.STRAIGHT)),
                torch.randn(streams, STATUS_SIZE, generator=generator),
            ),
            cameras=make_cameras(student_tiny(), streams, generator) if images else None,
        )

    return make


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up scene with small pictures: six key frames, complete with map, boxes and sweeps. Not to be changed."""
    root = tmp_path_factory.mktemp("demo") / "root"
    make_demo_scene(root, np.random.default_rng(5), DemoSceneOptions(key_frames=6, width=160, workers=1))
    return root


@pytest.fixture(scope="session")
def source(demo_root: Path) -> SceneSource:
    """That scene, with its map."""
    nuscenes = NuScenes(demo_root, VERSION)
    scene = nuscenes.scenes[0]
    return SceneSource(nuscenes, scene, open_map(demo_root, scene.location))
