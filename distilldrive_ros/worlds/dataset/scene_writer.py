"""One drive as a small data set root of its own: sensor files, map, ego status and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SceneIdentity, SceneTables, TableSensor, write_json
from distilldrive_ros.worlds.dataset.annotations import Sighting, annotate, sightings
from distilldrive_ros.worlds.dataset.drive import Drive
from distilldrive_ros.worlds.dataset.ego_status import write_ego_status
from distilldrive_ros.worlds.dataset.map_frame import MapFrame, map_frame
from distilldrive_ros.worlds.dataset.place_map import place_expansion, place_raster
from distilldrive_ros.worlds.dataset.root import REPORT_FILE, TABLES_FOLDER
from distilldrive_ros.worlds.dataset.schedule import Schedule, SensorRates, Turn, sensor_schedule
from distilldrive_ros.worlds.dataset.visibility import VisibilityMeter
from distilldrive_ros.worlds.rendering.renderer import SceneRenderer
from distilldrive_ros.worlds.rig import Rig
from distilldrive_ros.worlds.world import Snapshot

# Measurements written since the last call, of how many in all.
Progress = Callable[[int, int], object]

JPEG_QUALITY = 88


@dataclass(frozen=True)
class SceneOrder:
    """How a drive is written: names, `salt` of its tokens, stamp of the world's epoch, sensors and their rates."""

    identity: SceneIdentity
    salt: str
    epoch_us: int
    rig: Rig
    rates: SensorRates


def write_scene(
    folder: Path, drive: Drive, order: SceneOrder, rng: np.random.Generator, progress: Progress, **facts: Any
) -> None:
    """Write a drive into an empty folder: `tables/`, `samples/`, `sweeps/`, `maps/`, `can_bus/` and `report.json`.

    Args:
        folder: that folder.
        drive: the drive.
        order: how.
        rng: noise of stamps and LiDAR.
        progress: called with the number of measurements written since the last call, and that of all.
        facts: more for the report.

    Raises:
        WorldError: nothing can draw here, or the drive is too short.
        OSError: the folder cannot be written to.
    """
    stamp_rng, lidar_rng = rng.spawn(2)
    schedule = sensor_schedule(order.rig, order.rates, drive.first_ns, drive.last_ns, stamp_rng)
    frame = map_frame(drive.place)
    tables = SceneTables(order.identity, order.salt, _table_sensors(order.rig))
    tables.add_samples([_stamp_us(order, time) for time in schedule.samples_ns])
    writer = _SceneWriter(folder, drive, order, schedule, frame, tables)
    with (
        SceneRenderer(drive.place, drive.appearance, order.rig) as renderer,
        VisibilityMeter(renderer, drive.place, order.rig) as meter,
    ):
        shares = writer.write_pictures(renderer, meter, progress)
        key_frames = writer.write_sweeps(renderer, shares, lidar_rng, progress)
    boxes = annotate(tables, key_frames, frame)
    location = order.identity.location
    map_file = folder / "maps" / "expansion" / f"{location}.json"
    write_json(map_file, place_expansion(drive.place, frame, lambda name: tables.token(f"map/{name}")))
    place_raster(drive.place, frame).save(folder / tables.raster_file)
    write_ego_status(folder / "can_bus", order.identity.name, drive, frame, order.epoch_us)
    tables.write(folder / TABLES_FOLDER)
    report: dict[str, Any] = {
        "name": order.identity.name,
        "description": order.identity.description,
        "location": location,
    }
    report |= {"key_frames": len(schedule.samples_ns), "measurements": schedule.measurements, "boxes": boxes, **facts}
    write_json(folder / REPORT_FILE, report)


@dataclass
class _SceneWriter:
    """Sensor files with their rows."""

    folder: Path
    drive: Drive
    order: SceneOrder
    schedule: Schedule
    frame: MapFrame
    tables: SceneTables

    def write_pictures(
        self, renderer: SceneRenderer, meter: VisibilityMeter, progress: Progress
    ) -> list[dict[int, float]]:
        """All pictures; returns the visible shares of the agents at each key frame."""
        shares = []
        for turn in self.schedule.camera_turns:
            snapshots = {channel: self.drive.at(time) for channel, time in turn.times_ns.items()}
            for channel, pixels in renderer.images(snapshots).items():
                Image.fromarray(pixels).save(
                    self._enter(channel, turn, snapshots[channel]), "JPEG", quality=JPEG_QUALITY
                )
            if turn.key_frame:
                shares.append(meter.shares(snapshots))
            progress(len(snapshots), self.schedule.measurements)
        return shares

    def write_sweeps(
        self,
        renderer: SceneRenderer,
        shares: Sequence[dict[int, float]],
        rng: np.random.Generator,
        progress: Progress,
    ) -> list[list[Sighting]]:
        """All sweeps; returns what was seen at each key frame."""
        lidar, key_frames = self.order.rig.lidar, []
        for turn, turn_rng in zip(self.schedule.lidar_turns, rng.spawn(len(self.schedule.lidar_turns)), strict=True):
            snapshot = self.drive.at(turn.times_ns[lidar.channel])
            points = renderer.sweep(snapshot, turn_rng).points
            self._enter(lidar.channel, turn, snapshot).write_bytes(points.astype("<f4").tobytes())
            if turn.key_frame:
                world_from_lidar = snapshot.ego.world_from_base @ lidar.base_from_lidar
                key_frames.append(
                    sightings(snapshot, shares[turn.sample], points[:, :3].astype(np.float64), world_from_lidar)
                )
            progress(1, self.schedule.measurements)
        return key_frames

    def _enter(self, channel: str, turn: Turn, snapshot: Snapshot) -> Path:
        """Row of a measurement, and where its file goes."""
        pose = self.frame.pose(snapshot.ego.world_from_base)
        stamp = _stamp_us(self.order, snapshot.time_ns)
        path = self.folder / self.tables.add_sensor_data(channel, turn.sample, turn.key_frame, stamp, pose)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _table_sensors(rig: Rig) -> list[TableSensor]:
    cameras = [TableSensor(c.channel, c.base_from_camera, c.intrinsics, c.width, c.height) for c in rig.cameras]
    return [*cameras, TableSensor(rig.lidar.channel, rig.lidar.base_from_lidar)]


def _stamp_us(order: SceneOrder, time_ns: int) -> int:
    return order.epoch_us + time_ns // 1000
