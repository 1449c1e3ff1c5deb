"""Sensor files of one recorded scene whose tables are there without them: rendered, on flat ground."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from distilldrive_ros.datasets.nuscenes import LIDAR_CHANNEL, NuScenes
from distilldrive_ros.datasets.point_files import points_of
from distilldrive_ros.datasets.records import Sample, SampleData, Scene
from distilldrive_ros.geometry.boxes import points_in_box
from distilldrive_ros.geometry.poses import transform_points
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.worlds.dataset.root import replace_json
from distilldrive_ros.worlds.dataset.visibility import VisibilityMeter
from distilldrive_ros.worlds.nuscenes_place import seed_of
from distilldrive_ros.worlds.recorded_rig import recorded_rig
from distilldrive_ros.worlds.recorded_session import RecordedSession
from distilldrive_ros.worlds.rig import Rig

if TYPE_CHECKING:
    from distilldrive_ros.worlds.rendering.renderer import SceneRenderer

JPEG_QUALITY = 88


@dataclass(frozen=True)
class RecordedJob:
    """A scene to be rendered: where its tables lie, where its files go; `result` gets what was seen of each box."""

    dataroot: Path
    version: str
    scene: str
    out: Path
    result: Path
    width: int | None
    sweeps: bool

    def __str__(self) -> str:
        """For messages."""
        return self.scene


def rendered_rows(nuscenes: NuScenes, scene: Scene, sweeps: bool) -> list[SampleData]:
    """The measurements of a scene that are rendered, in time order: cameras and LiDAR, key frames or all."""
    rows = nuscenes.sample_data(scene)
    return [r for r in rows if (r.modality == "camera" or r.channel == LIDAR_CHANNEL) and (sweeps or r.is_key_frame)]


def render_scene(job: RecordedJob, advance: Callable[[float], None]) -> None:
    """Make the files of a scene that are not there yet, then measure what they show of its boxes.

    `job.result` holds by annotation token the number of LiDAR points in the box, and its visible share or null. Every
    file appears whole or not at all. `advance` is called with the share done since the last call.

    Raises:
        DatasetError: the tables or the map are damaged, or a key frame lacks a camera or the LiDAR.
        WorldError: nothing can draw here.
        OSError: a file cannot be written.
    """
    # Panda3D is an extra: it is imported late, so that its absence is an error of this run alone.
    from distilldrive_ros.worlds.rendering.renderer import SceneRenderer

    nuscenes = NuScenes(job.dataroot, job.version)
    scene = nuscenes.scene(job.scene)
    session = RecordedSession(nuscenes, scene)
    rig = recorded_rig(nuscenes, scene, job.width)
    rows = rendered_rows(nuscenes, scene, job.sweeps)
    missing = [row for row in rows if not (job.out / row.filename).is_file()]
    advance((len(rows) - len(missing)) / max(len(rows), 1))
    seen: dict[str, tuple[int, float | None]] = {}
    with (
        SceneRenderer(session.place, session.appearance, rig) as renderer,
        VisibilityMeter(renderer, session.place, rig) as meter,
    ):
        for row in missing:
            write_whole(job.out / row.filename, _content(renderer, session, row))
            advance(1 / len(rows))
        for sample in nuscenes.samples(scene):
            key_rows = {row.channel: row for row in rows if row.is_key_frame and row.sample_token == sample.token}
            lacking = {LIDAR_CHANNEL, *(c.channel for c in rig.cameras)} - set(key_rows)
            if lacking:
                raise DatasetError(f"sample {sample.token} of {scene.name} has no {', '.join(sorted(lacking))}")
            shares = meter.shares({c.channel: session.at(key_rows[c.channel].stamp_ns) for c in rig.cameras})
            points = _points_in_boxes(nuscenes, session, sample, rig, job.out / key_rows[LIDAR_CHANNEL].filename)
            for annotation in nuscenes.annotations(sample):
                seen[annotation.token] = points[annotation.token], shares.get(annotation.instance_index)
    job.result.parent.mkdir(parents=True, exist_ok=True)
    replace_json(job.result, seen)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _content(renderer: SceneRenderer, session: RecordedSession, row: SampleData) -> bytes:
    snapshot = session.at(row.stamp_ns)
    if row.modality != "camera":
        rng = np.random.default_rng(seed_of(row.token))
        return renderer.sweep(snapshot, rng).points.astype("<f4").tobytes()
    buffer = io.BytesIO()
    pixels = renderer.images({row.channel: snapshot})[row.channel]
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _points_in_boxes(
    nuscenes: NuScenes, session: RecordedSession, sample: Sample, rig: Rig, sweep: Path
) -> dict[str, int]:  # fmt: skip
    """LiDAR points by annotation token of a key frame, in its boxes as they stand on the ground."""
    world_from_lidar = session.recorded_ego(sample.stamp_ns).world_from_base @ rig.lidar.base_from_lidar
    points = transform_points(world_from_lidar, points_of(bytearray(sweep.read_bytes()), sweep)[:, :3])
    agents = {agent.id: agent for agent in session.at(sample.stamp_ns).agents}
    counts = {}
    for annotation in nuscenes.annotations(sample):
        agent = agents[annotation.instance_index]
        box = [*agent.center, *annotation.size, agent.yaw]
        counts[annotation.token] = int(points_in_box(box, points).sum())
    return counts
