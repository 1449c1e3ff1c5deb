"""The thirteen tables of the nuScenes v1.0 schema, filled while a scene is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.nuscenes_writer.taxonomy import ATTRIBUTES, CATEGORIES, VISIBILITIES
from distilldrive_ros.geometry.poses import quaternion_from_rotation

Array = NDArray[np.float64]
Record = dict[str, Any]

# Rows of these tables are the same in every scene that this package makes: roots can be put together.
SHARED_TABLES = ("category", "attribute", "visibility", "sensor")
SHARED_SALT = "distilldrive_ros"


@dataclass(frozen=True)
class SceneIdentity:
    """What a scene is called: names of version folder, scene, place, vehicle, log and the day of the log."""

    version: str
    name: str
    description: str
    location: str
    vehicle: str
    log_file: str
    date: str


@dataclass(frozen=True)
class TableSensor:
    """A sensor as the tables know it: a camera has `intrinsics` (3, 3) px and an image size, a LiDAR has none."""

    channel: str
    base_from_sensor: Array
    intrinsics: Array | None = None
    width: int = 0
    height: int = 0

    @property
    def is_camera(self) -> bool:
        """Whether it takes pictures."""
        return self.intrinsics is not None


@dataclass
class SceneTables:
    """Rows by table name. Tokens are md5 of `salt` and a name: the same scene always has the same tokens.

    What does not change over the drive (sensors, calibration, categories, log and map) is entered at once.
    """

    identity: SceneIdentity
    salt: str
    sensors: Sequence[TableSensor]
    rows: dict[str, list[Record]] = field(default_factory=dict)
    _last_data: dict[str, Record] = field(default_factory=dict)
    _last_annotation: dict[str, Record] = field(default_factory=dict)
    _instances: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Enter the fixed rows; tables that a scene may leave empty are there as well."""
        identity, log = self.identity, self.token("log")
        self.rows.update({table: [] for table in ("instance", "sample_annotation")})
        row: Record = {"token": log, "logfile": identity.log_file, "vehicle": identity.vehicle}
        self.add("log", row | {"date_captured": identity.date, "location": identity.location})
        row = {"category": "semantic_prior", "token": self.token("map"), "filename": self.raster_file}
        self.add("map", row | {"log_tokens": [log]})
        for name, text in CATEGORIES:
            self.add("category", {"token": _shared_token(f"category/{name}"), "name": name, "description": text})
        for name, text in ATTRIBUTES:
            self.add("attribute", {"token": _shared_token(f"attribute/{name}"), "name": name, "description": text})
        for token, level, text, _ in VISIBILITIES:
            self.add("visibility", {"description": text, "token": token, "level": level})
        for sensor in self.sensors:
            self._add_sensor(sensor)

    def token(self, name: str) -> str:
        """32 hex digits for a name."""
        return _token(self.salt, name)

    def add(self, table: str, row: Record) -> Record:
        """Append a row."""
        self.rows.setdefault(table, []).append(row)
        return row

    @property
    def raster_file(self) -> str:
        """Path of the drivable area's picture below the root."""
        return f"maps/{self.token('map')}.png"

    def _add_sensor(self, sensor: TableSensor) -> None:
        token = _shared_token(f"sensor/{sensor.channel}")
        modality = "camera" if sensor.is_camera else "lidar"
        self.add("sensor", {"token": token, "channel": sensor.channel, "modality": modality})
        self.add(
            "calibrated_sensor",
            {
                "token": self.token(f"calibrated_sensor/{sensor.channel}"),
                "sensor_token": token,
                "translation": [float(v) for v in sensor.base_from_sensor[:3, 3]],
                "rotation": [float(v) for v in quaternion_from_rotation(sensor.base_from_sensor[:3, :3])],
                "camera_intrinsic": [] if sensor.intrinsics is None else sensor.intrinsics.tolist(),
            },
        )

    def add_samples(self, stamps_us: Sequence[int]) -> None:
        """The scene and its key frames."""
        scene = self.token("scene")
        tokens = [self.token(f"sample/{i}") for i in range(len(stamps_us))]
        for i, stamp in enumerate(stamps_us):
            self.add(
                "sample",
                {
                    "token": tokens[i],
                    "timestamp": stamp,
                    "prev": tokens[i - 1] if i else "",
                    "next": tokens[i + 1] if i + 1 < len(tokens) else "",
                    "scene_token": scene,
                },
            )
        self.add(
            "scene",
            {
                "token": scene,
                "log_token": self.token("log"),
                "nbr_samples": len(tokens),
                "first_sample_token": tokens[0],
                "last_sample_token": tokens[-1],
                "name": self.identity.name,
                "description": self.identity.description,
            },
        )

    def add_sensor_data(self, channel: str, sample: int, key_frame: bool, stamp_us: int, world_from_base: Array) -> str:
        """A recording and its ego pose; returns the path of its file below the root. Call in time order."""
        sensor = next(s for s in self.sensors if s.channel == channel)
        folder, suffix = "samples" if key_frame else "sweeps", "jpg" if sensor.is_camera else "pcd.bin"
        filename = f"{folder}/{channel}/{self.identity.log_file}__{channel}__{stamp_us}.{suffix}"
        token = self.token(f"sample_data/{channel}/{stamp_us}")
        self.add(
            "ego_pose",
            {
                "token": token,
                "timestamp": stamp_us,
                "rotation": [float(v) for v in quaternion_from_rotation(world_from_base[:3, :3])],
                "translation": [float(v) for v in world_from_base[:3, 3]],
            },
        )
        before = self._last_data.get(channel)
        if before is not None:
            before["next"] = token
        self._last_data[channel] = self.add(
            "sample_data",
            {
                "token": token,
                "sample_token": self.token(f"sample/{sample}"),
                "ego_pose_token": token,
                "calibrated_sensor_token": self.token(f"calibrated_sensor/{channel}"),
                "timestamp": stamp_us,
                "fileformat": "jpg" if sensor.is_camera else "pcd",
                "is_key_frame": key_frame,
                "height": sensor.height,
                "width": sensor.width,
                "filename": filename,
                "prev": before["token"] if before is not None else "",
                "next": "",
            },
        )
        return filename

    def add_annotation(
        self, sample: int, name: str, category: str, attribute: str, visibility: str, box: Array, lidar_points: int
    ) -> None:
        """A box (7,) of the world at a key frame. Call in order of key frames.

        Raises:
            ValueError: no such category or attribute in the schema.
        """
        _known(category, CATEGORIES)
        attributes = [_shared_token(f"attribute/{_known(attribute, ATTRIBUTES)}")] if attribute else []
        token = self.token(f"sample_annotation/{name}/{sample}")
        instance = self._instances.get(name)
        if instance is None:
            instance = self._instances[name] = self.add(
                "instance",
                {
                    "token": self.token(f"instance/{name}"),
                    "category_token": _shared_token(f"category/{category}"),
                    "nbr_annotations": 0,
                    "first_annotation_token": token,
                    "last_annotation_token": token,
                },
            )
        instance["nbr_annotations"] += 1
        instance["last_annotation_token"] = token
        before = self._last_annotation.get(name)
        if before is not None:
            before["next"] = token
        x, y, z, length, width, height, yaw = (float(v) for v in box)
        self._last_annotation[name] = self.add(
            "sample_annotation",
            {
                "token": token,
                "sample_token": self.token(f"sample/{sample}"),
                "instance_token": instance["token"],
                "visibility_token": visibility,
                "attribute_tokens": attributes,
                "translation": [round(v, 6) for v in (x, y, z)],
                "size": [width, length, height],
                "rotation": [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))],
                "prev": before["token"] if before is not None else "",
                "next": "",
                "num_lidar_pts": lidar_points,
                "num_radar_pts": 0,
            },
        )

    def write(self, folder: Path) -> None:
        """One JSON file per table, into a new folder."""
        folder.mkdir(parents=True)
        for table, rows in self.rows.items():
            write_json(folder / f"{table}.json", rows)


def _token(salt: str, name: str) -> str:
    return hashlib.md5(f"{salt}/{name}".encode(), usedforsecurity=False).hexdigest()


def _shared_token(name: str) -> str:
    return _token(SHARED_SALT, name)


def _known(name: str, rows: Sequence[tuple[str, str]]) -> str:
    if name not in {known for known, _ in rows}:
        raise ValueError(f"{name!r} is no name of the nuScenes schema")
    return name


def write_json(path: Path, content: Sequence[Record] | Mapping[str, Any]) -> None:
    """JSON without spaces that would only take room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
