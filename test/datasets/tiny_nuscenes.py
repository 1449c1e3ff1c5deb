"""A small data set in the nuScenes schema with known motion: what the tests of reader and converter read.

scene-0001: 15 key frames, uneven gaps; the vehicle drives a left-hand circle at `SPEED` and `YAW_RATE`; two cameras,
LiDAR and a radar, with sweeps; a car with constant velocity, a pedestrian seen three times, a barrier, an animal.
scene-0002: one key frame, standing.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SPEED = 6.0
YAW_RATE = 0.2
CAR_VELOCITY = (3.0, -1.0)
START_US = 1_600_000_000_000_000
VERSION = "v1.0-tiny"
PLACE = "testville"
WIDTH, HEIGHT = 64, 36

# Offset of each channel's stamp to the LiDAR's, microseconds; distinct, as on a real vehicle.
CHANNELS = {"CAM_FRONT": -38_117, "CAM_BACK": -9_003, "LIDAR_TOP": 0, "RADAR_FRONT": 4_001}
_CATEGORIES = ("vehicle.car", "human.pedestrian.adult", "movable_object.barrier", "animal")

Row = dict[str, Any]


def yaw_quaternion(yaw: float) -> list[float]:
    """(w, x, y, z)."""
    return [math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]


def ego_at(seconds: float, moving: bool = True) -> tuple[list[float], float]:
    """True place (x, y, z) and yaw of the vehicle."""
    if not moving:
        return [100.0, 200.0, 0.0], 0.3
    yaw, radius = YAW_RATE * seconds, SPEED / YAW_RATE
    return [100.0 + radius * math.sin(yaw), 200.0 + radius * (1 - math.cos(yaw)), 0.0], yaw


@dataclass
class TinyRoot:
    """Tables in memory; `write` puts them on disk, so that tests damage what they like before or after."""

    path: Path
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def write(self) -> TinyRoot:
        """Write all tables."""
        folder = self.path / VERSION
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            (folder / f"{name}.json").write_text(json.dumps(rows))
        return self

    def row(self, table: str, token: str) -> Row:
        """A row to look at or to change."""
        return next(r for r in self.tables[table] if r["token"] == token)

    def file_of(self, token: str) -> Path:
        """File of a sample_data row."""
        return self.path / self.row("sample_data", token)["filename"]


def make_tiny_root(path: Path, pixels: bool = True, expansion: bool = True) -> TinyRoot:
    """Make the data set; without pixels there are neither images nor points, as in a root of tables only."""
    root = TinyRoot(path, {name: [] for name in ("sample", "sample_data", "ego_pose", "sample_annotation", "instance")})
    _fixed_tables(root)
    _add_scene(root, "scene-0001", [0.5 * k + 0.05 * math.sin(3 * k) for k in range(15)], moving=True)
    _add_scene(root, "scene-0002", [100.0], moving=False)
    _add_objects(root)
    if pixels:
        _add_files(root)
    if expansion:
        _add_map(path)
    return root.write()


def _fixed_tables(root: TinyRoot) -> None:
    cameras = [[50.0, 0.0, 32.0], [0.0, 50.0, 18.0], [0.0, 0.0, 1.0]]
    mounts = {
        "CAM_FRONT": ([1.7, 0.0, 1.5], [0.5, -0.5, 0.5, -0.5]),
        "CAM_BACK": ([0.0, 0.1, 1.6], [0.5, -0.5, -0.5, 0.5]),
        "LIDAR_TOP": ([0.94, 0.0, 1.84], [math.sqrt(0.5), 0.0, 0.0, -math.sqrt(0.5)]),
        "RADAR_FRONT": ([3.4, 0.0, 0.5], [1.0, 0.0, 0.0, 0.0]),
    }
    kind = {"CAM": "camera", "LID": "lidar", "RAD": "radar"}
    root.tables |= {
        "log": [{"token": "log", "logfile": "l", "vehicle": "t1", "date_captured": "2020-09-13", "location": PLACE}],
        "map": [{"token": "map", "log_tokens": ["log"], "category": "semantic_prior", "filename": ""}],
        "sensor": [{"token": f"s-{c}", "channel": c, "modality": kind[c[:3]]} for c in CHANNELS],
        "calibrated_sensor": [
            {"token": f"c-{c}", "sensor_token": f"s-{c}", "translation": mounts[c][0], "rotation": mounts[c][1],
             "camera_intrinsic": cameras if c.startswith("CAM") else []}
            for c in CHANNELS
        ],
        "category": [{"token": c, "name": c, "description": ""} for c in _CATEGORIES],
        "attribute": [{"token": "moving", "name": "vehicle.moving", "description": ""}],
        "visibility": [{"token": "4", "level": "v80-100", "description": ""}],
        "scene": [],
    }  # fmt: skip


def _add_scene(root: TinyRoot, name: str, times: list[float], moving: bool) -> None:
    tokens = [f"{name}-k{k}" for k in range(len(times))]
    root.tables["scene"].append(
        {"token": f"token-{name}", "log_token": "log", "nbr_samples": len(times), "first_sample_token": tokens[0],
         "last_sample_token": tokens[-1], "name": name, "description": f"what happens in {name}"}
    )  # fmt: skip
    links = list(zip(["", *tokens[:-1]], [*tokens[1:], ""], strict=True))
    for token, seconds, (before, after) in zip(tokens, times, links, strict=True):
        stamp = START_US + round(seconds * 1e6)
        root.tables["sample"].append(
            {"token": token, "timestamp": stamp, "prev": before, "next": after, "scene_token": f"token-{name}"}
        )
    for channel, offset in CHANNELS.items():
        rows = []
        for k, seconds in enumerate(times):
            if k:
                middle = (times[k - 1] + seconds) / 2
                rows.append(_data_row(f"{tokens[k]}-{channel}-sweep", tokens[k], channel, middle, offset, False))
            rows.append(_data_row(f"{tokens[k]}-{channel}", tokens[k], channel, seconds, offset, True))
        for before, after in pairwise(rows):
            before["next"], after["prev"] = after["token"], before["token"]
        root.tables["sample_data"] += rows
        for row in rows:
            place, yaw = ego_at((row["timestamp"] - START_US) / 1e6, moving)
            root.tables["ego_pose"].append(
                {"token": row["ego_pose_token"], "timestamp": row["timestamp"], "rotation": yaw_quaternion(yaw),
                 "translation": place}
            )  # fmt: skip


def _data_row(token: str, sample: str, channel: str, seconds: float, offset: int, key_frame: bool) -> Row:
    stamp = START_US + round(seconds * 1e6) + offset
    suffix = {"CAM": "jpg", "LID": "pcd.bin", "RAD": "pcd"}[channel[:3]]
    folder = "samples" if key_frame else "sweeps"
    size = (HEIGHT, WIDTH) if channel.startswith("CAM") else (0, 0)
    return {
        "token": token, "sample_token": sample, "ego_pose_token": f"e-{token}",
        "calibrated_sensor_token": f"c-{channel}", "timestamp": stamp,
        "fileformat": suffix.split(".")[0], "is_key_frame": key_frame, "height": size[0],
        "width": size[1], "filename": f"{folder}/{channel}/{stamp}.{suffix}", "prev": "", "next": "",
    }  # fmt: skip


def _add_objects(root: TinyRoot) -> None:
    samples = [s for s in root.tables["sample"] if s["scene_token"] == "token-scene-0001"]
    seen = {"vehicle.car": range(15), "human.pedestrian.adult": range(2, 5), "movable_object.barrier": range(15),
            "animal": range(15)}  # fmt: skip
    for number, category in enumerate(_CATEGORIES):
        tokens = [f"a-{category}-{k}" for k in seen[category]]
        root.tables["instance"].append(
            {"token": f"i-{category}", "category_token": category, "nbr_annotations": len(tokens),
             "first_annotation_token": tokens[0], "last_annotation_token": tokens[-1]}
        )  # fmt: skip
        for position, k in enumerate(seen[category]):
            seconds = (samples[k]["timestamp"] - START_US) / 1e6
            velocity = CAR_VELOCITY if category == "vehicle.car" else (0.0, 0.0)
            place = [110.0 + number + velocity[0] * seconds, 203.0 + 2 * number + velocity[1] * seconds, 0.8]
            root.tables["sample_annotation"].append(
                {"token": tokens[position], "sample_token": samples[k]["token"], "instance_token": f"i-{category}",
                 "visibility_token": "4" if number == 0 else "", "attribute_tokens": ["moving"] if number == 0 else [],
                 "translation": place, "size": [1.9, 4.6, 1.6], "rotation": yaw_quaternion(-0.32 + 0.1 * number),
                 "prev": tokens[position - 1] if position else "", "num_lidar_pts": 7, "num_radar_pts": 1,
                 "next": tokens[position + 1] if position + 1 < len(tokens) else ""}
            )  # fmt: skip


def _add_files(root: TinyRoot) -> None:
    rng = np.random.default_rng(5)
    for row in root.tables["sample_data"]:
        path = root.path / row["filename"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jpg":
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)).save(stream, "jpeg")
            path.write_bytes(stream.getvalue())
        elif path.name.endswith(".pcd.bin"):
            points = rng.normal(0, 20, (50, 5)).astype(np.float32)
            points[:, 4] = rng.integers(0, 32, 50)
            path.write_bytes(points.tobytes())


def _add_map(path: Path) -> None:
    """A road of two lanes along y = 200, 40 m either side of where scene-0001 starts, with a crossing in two pieces."""
    nodes: dict[str, tuple[float, float]] = {}
    polygons, lines = [], []

    def nodes_of(*points: tuple[float, float]) -> list[str]:
        names = [f"n{len(nodes) + i}" for i in range(len(points))]
        nodes.update(zip(names, points, strict=True))
        return names

    def polygon(token: str, *points: tuple[float, float]) -> str:
        polygons.append({"token": token, "exterior_node_tokens": nodes_of(*points), "holes": []})
        return token

    def line(token: str, *points: tuple[float, float]) -> str:
        lines.append({"token": token, "node_tokens": nodes_of(*points)})
        return token

    arc = {"start_pose": [60.0, 198.25, 0.0], "end_pose": [140.0, 198.25, 0.0], "shape": "LSR", "radius": 50.0,
           "segment_length": [0.0, 80.0, 0.0]}  # fmt: skip
    expansion = {
        "version": "1.3",
        "lane": [
            {"token": "right", "polygon_token": polygon("p1", (60, 196.5), (140, 196.5), (140, 200), (60, 200))},
            {"token": "left", "polygon_token": polygon("p2", (60, 200), (140, 200), (140, 203.5), (60, 203.5))},
        ],
        "road_segment": [{"token": "r", "polygon_token": polygon("p3", (60, 196), (140, 196), (140, 204), (60, 204))}],
        "drivable_area": [],
        "lane_connector": [],
        "ped_crossing": [
            {"token": "x1", "polygon_token": polygon("p4", (110, 196), (113, 196), (113, 200), (110, 200))},
            {"token": "x2", "polygon_token": polygon("p5", (110, 200), (113, 200), (113, 204), (110, 204))},
        ],
        "lane_divider": [{"token": "d1", "line_token": line("l1", (60, 200), (140, 200))}],
        # The same line once more, the other way round: it counts once.
        "road_divider": [{"token": "d2", "line_token": line("l2", (140, 200), (60, 200))}],
        "arcline_path_3": {"right": [arc]},
    }
    expansion |= {"polygon": polygons, "line": lines}
    expansion["node"] = [{"token": t, "x": float(x), "y": float(y)} for t, (x, y) in nodes.items()]
    folder = path / "maps" / "expansion"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{PLACE}.json").write_text(json.dumps(expansion))
