"""Batches of a training, as its stage wants them, for one process."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset

from distilldrive_ros.datasets.map_expansion import MapExpansion, open_map
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.models.diffusiondrive.config import NUSCENES_CAMERAS
from distilldrive_ros.scene.errors import ConfigurationError, DatasetError
from distilldrive_ros.training.diffusion.frame_store import FrameStore
from distilldrive_ros.training.diffusion.lessons import LessonBook
from distilldrive_ros.training.diffusion.requests import RequestedFrames, collate_frames
from distilldrive_ros.training.pipeline.augmentation import NO_AUGMENTATION
from distilldrive_ros.training.pipeline.dataset import FrameDataset, collate
from distilldrive_ros.training.pipeline.frames import ImageSettings
from distilldrive_ros.training.pipeline.loaded import LoadedBatch
from distilldrive_ros.training.pipeline.sequences import FrameRequest, Section, StreamingSampler, split_scenes
from distilldrive_ros.training.targets.scene_files import load_or_make_targets
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.looking import look_at_scenes
from distilldrive_ros.training.trainer.processes import Processes
from distilldrive_ros.training.trainer.stages import diffusion_config, frame_limits, student_config

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Frames:
    """Frames of scenes: sections of consecutive ones, and how several are put side by side."""

    dataset: Dataset[Any]
    sections: list[Section]
    collate: Callable[[Any], LoadedBatch[Any]]


def training_frames(config: TrainConfig, processes: Processes, progress: Progress) -> Frames:
    """Frames as the stage wants them: `TrainingBatch`, or `DiffusionBatch`.

    Raises:
        DatasetError: root, tables or a scene are not there, or contradict themselves.
        ConfigurationError: the network does not fit the targets.
        StorageError: the cache cannot be written to.
    """
    if config.stage == "diffusiondrive":
        return _independent(config, processes, progress)
    return _streams(config, processes, progress)


def batches(config: TrainConfig, processes: Processes, start: int, frames: Frames) -> Iterator[LoadedBatch[Any]]:
    """Batches of this process from iteration `start` on, without end."""
    sampler = StreamingSampler(
        frames.sections, config.run.batch_size, config.run.seed, processes.rank, processes.world_size
    )
    sampler.start = start
    return iter(loader(config, frames, sampler))


def loader(config: TrainConfig, frames: Frames, requests: Iterable[list[FrameRequest]]) -> DataLoader[LoadedBatch[Any]]:
    """Loads the requested batches, in workers of its own."""
    if config.data.workers:
        _allow_open_files()
    with warnings.catch_warnings():
        # One worker per core and more is the user's choice.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        return DataLoader(
            frames.dataset, batch_sampler=requests, collate_fn=frames.collate, num_workers=config.data.workers
        )


def _independent(config: TrainConfig, processes: Processes, progress: Progress) -> Frames:
    data, network = config.data, diffusion_config(config)
    scenes = _sources(config, progress)
    lessons, limits = None, frame_limits(config)
    if limits is not None:
        with _main_first(processes):
            targets = load_or_make_targets(data.dataroot, data.version, data.scenes, NUSCENES_CAMERAS, data.cache)
        lessons = LessonBook(targets, limits)
    store = FrameStore(data.cache, scenes[0].nuscenes, network)
    frames = RequestedFrames(scenes, network, store, config.diffusion_augmentation, config.run.seed, lessons)
    return Frames(frames, frames.sections, collate_frames)


def _streams(config: TrainConfig, processes: Processes, progress: Progress) -> Frames:
    data, network = config.data, student_config(config)
    perceived = None
    with _main_first(processes):
        scenes = load_or_make_targets(data.dataroot, data.version, data.scenes, network.cameras, data.cache, progress)
        if config.model.freeze_perception:
            perceived = look_at_scenes(config, scenes, processes.device, progress)
    if network.map.num_points != scenes[0].lines.shape[1]:
        raise ConfigurationError(f"targets have lines of 20 points, the network {network.map.num_points}; choose 20")
    sections = split_scenes([scene.key_frames for scene in scenes], data.sequence_parts)
    images, augmentation = None, config.augmentation
    if perceived is not None:
        augmentation = NO_AUGMENTATION
    elif config.stage != "teacher":
        images = ImageSettings(network.image_width, network.image_height)
    limits = frame_limits(config)
    frames = FrameDataset(
        scenes, sections, data.dataroot, images, augmentation, config.run.seed, data.cache, limits, perceived
    )
    return Frames(frames, sections, collate)


@contextmanager
def _main_first(processes: Processes) -> Iterator[None]:
    """The main process fills the cache, the others wait and find it filled."""
    if not processes.is_main:
        processes.wait()
    try:
        yield
    finally:
        if processes.is_main:
            processes.wait()


def _sources(config: TrainConfig, progress: Progress) -> list[SceneSource]:
    """Scenes with their maps, the tables read once for all."""
    data = config.data
    nuscenes = NuScenes(data.dataroot, data.version)
    scenes = [nuscenes.scene(name) for name in data.scenes] if data.scenes else list(nuscenes.scenes)
    if not scenes:
        raise DatasetError(f"{data.dataroot / data.version} has no scene; choose another --dataroot or --version")
    maps: dict[str, MapExpansion | None] = {}
    sources = []
    for scene in scenes:
        if scene.location not in maps:
            maps[scene.location] = open_map(data.dataroot, scene.location)
        sources.append(SceneSource(nuscenes, scene, maps[scene.location]))
        progress(scene.name)
    return sources


def _allow_open_files() -> None:
    """As many as the system lets us: every tensor that a worker hands over is one, and the usual 1024 are soon gone."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
