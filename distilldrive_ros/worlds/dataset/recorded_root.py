"""A complete data set root from one that has tables and maps, but neither pictures nor points."""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilldrive_ros.datasets.can_bus import FOLDER as CAN_BUS
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.nuscenes_writer.scene_tables import write_json
from distilldrive_ros.datasets.nuscenes_writer.taxonomy import visibility_level
from distilldrive_ros.datasets.records import SampleData, Scene
from distilldrive_ros.datasets.tables import Row
from distilldrive_ros.geometry.poses import planar_pose, quaternion_from_rotation, rotation_from_quaternion, yaw_of
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.generation import require_generation, with_generation
from distilldrive_ros.worlds.dataset.recorded_scene import RecordedJob, render_scene, rendered_rows
from distilldrive_ros.worlds.dataset.root import replace_json, unwritable
from distilldrive_ros.worlds.dataset.workers import run_jobs
from distilldrive_ros.worlds.recorded_rig import scaled_intrinsics

# Everything that is not the data set itself lies in this folder of the new root.
WORKSHOP = ".render"
WIDTHS = (160, 1600)
COPIED_TABLES = ("attribute", "category", "sensor", "visibility")
RENDERED = "rendered, on flat ground"

Seen = Mapping[str, tuple[int, float | None]]


@dataclass(frozen=True)
class RenderOrder:
    """What to render: `scenes` empty: all; `width` None: images as large as the tables say, else of this width, px."""

    dataroot: Path
    version: str
    out: Path
    scenes: tuple[str, ...] = ()
    width: int | None = None
    sweeps: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            WorldError: the width is out of range, or the new root would be the old one.
        """
        if self.width is not None and not WIDTHS[0] <= self.width <= WIDTHS[1]:
            raise WorldError(f"width is {self.width} px; it must lie between {WIDTHS[0]} and {WIDTHS[1]}")
        if self.out.resolve() == self.dataroot.resolve():
            raise WorldError(f"{self.out} is the root that is read; name another folder with --out")


@dataclass(frozen=True)
class RenderReport:
    """What is there after a run; `failures` are lines for scenes that could not be rendered."""

    scenes: tuple[str, ...]
    already_there: int
    failures: tuple[str, ...]


class RootRendering:
    """Renders scenes in processes of their own, then writes the tables that fit the files.

    Killed at any moment, the next run goes on where it stopped; the tables come last and whole.
    """

    def __init__(self, order: RenderOrder, workers: int) -> None:
        """Read which scenes there are.

        Raises:
            DatasetError: no such root, version or scene.
        """
        self._order, self._workers = order, workers
        self._nuscenes = NuScenes(order.dataroot, order.version)
        names = order.scenes or tuple(s.name for s in self._nuscenes.scenes)
        self.scenes: tuple[Scene, ...] = tuple(self._nuscenes.scene(name) for name in names)

    def run(
        self, advance: Callable[[float], object] = lambda share: None, said: Callable[[str], object] = lambda name: None
    ) -> RenderReport:
        """Render what is missing.

        Args:
            advance: called with shares of scenes as they are done; in the end they add up to the number of scenes.
            said: called with the name of each scene that was rendered.

        Raises:
            DatasetError: tables are damaged.
            WorldError: the folder holds something else or is not writable, all scenes failed, a process was killed.
        """
        try:
            self._claim()
            missing = [s for s in self.scenes if not self._result(s).is_file()]
            advance(float(len(self.scenes) - len(missing)))
            failures = []
            for outcome in run_jobs(render_scene, [self._job(s) for s in missing], self._workers, advance):
                if outcome.failure:
                    failures.append(f"{outcome.job}: {outcome.failure}")
                else:
                    said(str(outcome.job))
            done = [s for s in self._nuscenes.scenes if self._result(s).is_file()]
            if not done:
                raise WorldError(failures[0])
            self._write_tables(done)
        except OSError as error:
            raise unwritable(self._order.out, error) from error
        return RenderReport(tuple(s.name for s in done), len(self.scenes) - len(missing), tuple(failures))

    def _claim(self) -> None:
        out, settings = self._order.out, with_generation(out_settings(self._order))
        path = out / WORKSHOP / "settings.json"
        if path.is_file():
            begun = json.loads(path.read_text(encoding="utf-8"))
            require_generation(out, begun)
            if begun != settings:
                raise WorldError(f"{out} was begun with {begun}; use the same again, or another --out")
            return
        if out.exists() and not (out.is_dir() and not any(p.name != WORKSHOP for p in out.iterdir())):
            raise WorldError(f"{out} holds something else; name a new or an empty folder with --out")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_json(path, settings)

    def _result(self, scene: Scene) -> Path:
        return self._order.out / WORKSHOP / f"{scene.name}.json"

    def _job(self, scene: Scene) -> RecordedJob:
        order = self._order
        return RecordedJob(
            order.dataroot, order.version, scene.name, order.out, self._result(scene), order.width, order.sweeps
        )

    def _write_tables(self, scenes: Sequence[Scene]) -> None:
        """Tables of the scenes that are there, their maps, and what their vehicles themselves measured."""
        order = self._order
        seen: dict[str, tuple[int, float | None]] = {}
        for scene in scenes:
            seen.update(json.loads(self._result(scene).read_text(encoding="utf-8")))
        rows = {scene.token: rendered_rows(self._nuscenes, scene, order.sweeps) for scene in scenes}
        tables = rendered_tables(self._nuscenes, scenes, rows, seen, order.width)
        measured = (f for s in scenes for f in (order.dataroot / CAN_BUS).glob(f"{s.name}_*.json"))
        for name in (
            {row["filename"] for row in tables["map"]}
            | {f"maps/expansion/{s.location}.json" for s in scenes}
            | {f"{CAN_BUS}/{file.name}" for file in measured}
        ):
            source, target = order.dataroot / name, order.out / name
            if source.is_file() and not target.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target.with_name(f".{target.name}.partial"))
                target.with_name(f".{target.name}.partial").replace(target)
        building, old = order.out / WORKSHOP / "tables", order.out / WORKSHOP / "old"
        for folder in (building, old):
            shutil.rmtree(folder, ignore_errors=True)
        building.mkdir()
        for name, content in tables.items():
            write_json(building / f"{name}.json", content)
        current = order.out / order.version
        if current.exists():
            current.replace(old)
        building.replace(current)
        shutil.rmtree(old, ignore_errors=True)


def out_settings(order: RenderOrder) -> dict[str, Any]:
    """What all scenes of a root share."""
    return {"version": order.version, "width": order.width, "sweeps": order.sweeps}


def rendered_tables(
    nuscenes: NuScenes,
    scenes: Sequence[Scene],
    data: dict[str, list[SampleData]],
    seen: Seen,
    width: int | None,
) -> dict[str, list[Row]]:
    """All tables of a root that holds only these scenes and measurements, as they were rendered.

    Poses lose height, roll and pitch, boxes stand on the ground, intrinsics and sizes are those of the images, boxes
    have the points that were counted and the visibility that was measured.

    Args:
        nuscenes: the root they come from.
        scenes: the scenes.
        data: their rendered measurements, by scene token.
        seen: LiDAR points and visible share (None: not in a picture, or far away) by annotation token.
        width: of the images, px; None: as recorded.
    """
    tables = nuscenes.tables
    levels = {row["level"]: row["token"] for row in tables.rows("visibility")}
    kept = {token for scene in scenes for token in _tokens(tables.rows("sample"), "scene_token", scene.token)}
    annotations = [
        _on_ground(row, seen, levels) for row in tables.rows("sample_annotation") if row["sample_token"] in kept
    ]  # fmt: skip
    instances = _of_annotations(tables.rows("instance"), annotations)
    measured = {d.token for rows in data.values() for d in rows}
    sample_data = _chained(
        [_sized(row, width) for row in tables.rows("sample_data") if row["token"] in measured],
        {d.token: (scene, d.channel) for scene, rows in data.items() for d in rows},
    )
    poses = {row["ego_pose_token"] for row in sample_data}
    sensors = {row["calibrated_sensor_token"] for row in sample_data}
    sizes = {d.calibrated_sensor_token: (d.width, d.height) for rows in data.values() for d in rows}
    logs = {row["log_token"] for row in tables.rows("scene") if row["token"] in data}
    return {
        **{name: tables.rows(name) for name in COPIED_TABLES},
        "scene": [
            {**row, "description": f"{row.get('description', '')} ({RENDERED})"}
            for row in tables.rows("scene")
            if row["token"] in data
        ],
        "sample": [row for row in tables.rows("sample") if row["token"] in kept],
        "sample_data": sample_data,
        "sample_annotation": annotations,
        "instance": instances,
        "ego_pose": [_flat(row) for row in tables.rows("ego_pose") if row["token"] in poses],
        "calibrated_sensor": [
            _resized(row, sizes[row["token"]], width)
            for row in tables.rows("calibrated_sensor")
            if row["token"] in sensors
        ],
        "log": [row for row in tables.rows("log") if row["token"] in logs],
        "map": [
            {**row, "log_tokens": [t for t in row["log_tokens"] if t in logs]}
            for row in tables.rows("map")
            if logs & set(row["log_tokens"])
        ],
    }


def _tokens(rows: Sequence[Row], field: str, value: str) -> list[str]:
    return [row["token"] for row in rows if row[field] == value]


def _on_ground(row: Row, seen: Seen, levels: dict[str, str]) -> Row:
    x, y, _ = row["translation"]
    points, share = seen[row["token"]]
    level = "" if share is None else visibility_level(share)
    return {
        **row, "translation": [x, y, row["size"][2] / 2], "num_lidar_pts": points, "num_radar_pts": 0,
        "visibility_token": levels.get(level, ""),
    }  # fmt: skip


def _of_annotations(instances: Sequence[Row], annotations: Sequence[Row]) -> list[Row]:
    """Instances that still have annotations: a scene is kept whole, and no instance is in two."""
    counts = Counter(row["instance_token"] for row in annotations)
    return [row for row in instances if counts[row["token"]]]


def _chained(rows: list[Row], group_of: dict[str, tuple[str, str]]) -> list[Row]:
    """Rows with `prev` and `next` over those that are kept, per scene and channel."""
    chains: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda r: int(r["timestamp"])):
        chains[group_of[row["token"]]].append(row)
    linked = {}
    for chain in chains.values():
        tokens = ["", *(row["token"] for row in chain), ""]
        for index, row in enumerate(chain):
            linked[row["token"]] = {**row, "prev": tokens[index], "next": tokens[index + 2]}
    return [linked[row["token"]] for row in rows]


def _sized(row: Row, width: int | None) -> Row:
    if width is None or not row.get("width"):
        return row
    return {**row, "width": width, "height": round(width * row["height"] / row["width"])}


def _resized(row: Row, size: tuple[int, int], width: int | None) -> Row:
    if width is None or not row.get("camera_intrinsic"):
        return row
    height = round(width * size[1] / size[0])
    intrinsics = scaled_intrinsics(row["camera_intrinsic"], width / size[0], height / size[1])
    return {**row, "camera_intrinsic": intrinsics.tolist()}


def _flat(row: Row) -> Row:
    x, y, _ = row["translation"]
    level = planar_pose(0.0, 0.0, yaw_of(rotation_from_quaternion(row["rotation"])))
    rotation = quaternion_from_rotation(level[:3, :3])
    return {**row, "translation": [x, y, 0.0], "rotation": rotation.tolist()}
