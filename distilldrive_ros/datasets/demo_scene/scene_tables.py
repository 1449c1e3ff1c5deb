"""The thirteen tables of the nuScenes v1.0 schema, filled while a scene is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, LIDAR_CHANNEL, base_from_lidar
from distilldrive_ros.datasets.demo_scene.taxonomy import ATTRIBUTES, CATEGORIES, VISIBILITIES
from distilldrive_ros.geometry.poses import quaternion_from_rotation

Array = NDArray[np.float64]
Record = dict[str, Any]

VERSION = "v1.0-demo"
LOCATION = "demo-town"
SCENE_NAME = "scene-demo"
VEHICLE = "demo"
DATE = "2026-01-01"


@dataclass
class SceneTables:
    """Rows by table name. Tokens are md5 of `salt` and a name: the same scene always has the same tokens."""

    salt: str
    description: str
    image_size: tuple[int, int]
    rows: dict[str, list[Record]] = field(default_factory=dict)
    _last_data: dict[str, Record] = field(default_factory=dict)
    _last_annotation: dict[str, Record] = field(default_factory=dict)
    _instances: dict[str, Record] = field(default_factory=dict)

    def token(self, name: str) -> str:
        """32 hex digits for a name."""
        return hashlib.md5(f"{self.salt}/{name}".encode(), usedforsecurity=False).hexdigest()

    def add(self, table: str, row: Record) -> Record:
        """Append a row."""
        self.rows.setdefault(table, []).append(row)
        return row

    @property
    def log_file(self) -> str:
        """Name of the log, the first part of every sensor file's name."""
        return f"{VEHICLE}-{DATE}-12-00-00+0000"

    def add_fixed(self) -> None:
        """Everything that does not change over the drive: sensors, calibration, categories, log and map."""
        log = self.token("log")
        location_map = self.token("map")
        self.add(
            "log",
            {"token": log, "logfile": self.log_file, "vehicle": VEHICLE, "date_captured": DATE, "location": LOCATION},
        )
        self.add(
            "map",
            {
                "category": "semantic_prior",
                "token": location_map,
                "filename": f"maps/{location_map}.png",
                "log_tokens": [log],
            },
        )
        for name, text in CATEGORIES:
            self.add("category", {"token": self.token(f"category/{name}"), "name": name, "description": text})
        for name, text in ATTRIBUTES:
            self.add("attribute", {"token": self.token(f"attribute/{name}"), "name": name, "description": text})
        for token, level, text, _ in VISIBILITIES:
            self.add("visibility", {"description": text, "token": token, "level": level})
        width = self.image_size[0]
        for mount in CAMERAS:
            self._add_sensor(mount.channel, "camera", mount.base_from_camera, mount.intrinsics(width).tolist())
        self._add_sensor(LIDAR_CHANNEL, "lidar", base_from_lidar(), [])

    def _add_sensor(self, channel: str, modality: str, base_from_sensor: Array, intrinsic: list[list[float]]) -> None:
        sensor = self.token(f"sensor/{channel}")
        self.add("sensor", {"token": sensor, "channel": channel, "modality": modality})
        self.add(
            "calibrated_sensor",
            {
                "token": self.token(f"calibrated_sensor/{channel}"),
                "sensor_token": sensor,
                "translation": [float(v) for v in base_from_sensor[:3, 3]],
                "rotation": [float(v) for v in quaternion_from_rotation(base_from_sensor[:3, :3])],
                "camera_intrinsic": intrinsic,
            },
        )

    def add_samples(self, stamps_us: list[int]) -> None:
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
                "name": SCENE_NAME,
                "description": self.description,
            },
        )

    def add_sensor_data(self, channel: str, sample: int, key_frame: bool, stamp_us: int, world_from_base: Array) -> str:
        """A recording and its ego pose; returns the path of its file below the root. Call in time order."""
        camera = channel != LIDAR_CHANNEL
        folder, suffix = "samples" if key_frame else "sweeps", "jpg" if camera else "pcd.bin"
        filename = f"{folder}/{channel}/{self.log_file}__{channel}__{stamp_us}.{suffix}"
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
                "fileformat": "jpg" if camera else "pcd",
                "is_key_frame": key_frame,
                "height": self.image_size[1] if camera else 0,
                "width": self.image_size[0] if camera else 0,
                "filename": filename,
                "prev": before["token"] if before is not None else "",
                "next": "",
            },
        )
        return filename

    def add_annotation(
        self, sample: int, name: str, category: str, attribute: str, visibility: str, box: Array, lidar_points: int
    ) -> None:
        """A box (7,) of the world at a key frame. Call in order of key frames."""
        token = self.token(f"sample_annotation/{name}/{sample}")
        instance = self._instances.get(name)
        if instance is None:
            instance = self._instances[name] = self.add(
                "instance",
                {
                    "token": self.token(f"instance/{name}"),
                    "category_token": self.token(f"category/{category}"),
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
                "attribute_tokens": [self.token(f"attribute/{attribute}")] if attribute else [],
                "translation": [round(v, 6) for v in (x, y, z)],
                "size": [width, length, height],
                "rotation": [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))],
                "prev": before["token"] if before is not None else "",
                "next": "",
                "num_lidar_pts": lidar_points,
                "num_radar_pts": 0,
            },
        )

    def write(self, root: Path) -> None:
        """One JSON file per table."""
        folder = root / VERSION
        folder.mkdir(parents=True)
        for table, rows in self.rows.items():
            write_json(folder / f"{table}.json", rows)


def write_json(path: Path, content: list[Record] | Mapping[str, Any]) -> None:
    """JSON without spaces that would only take room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
