"""The published scorers' results on small synthetic worlds, rebuilt as worlds of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from distilldrive_ros.planning.pdm.world import (
    EgoStart,
    MapLayer,
    MapPolygon,
    NavsimWorld,
    ObjectKind,
    ObjectTracks,
    RedLight,
)

KINDS = {"car": ObjectKind.VEHICLE, "ped": ObjectKind.PEDESTRIAN, "cone": ObjectKind.TRAFFIC_CONE}


@dataclass(frozen=True)
class Golden:
    """Worlds, candidates (9, 8, 3) with their names, and results[version][world][candidate]."""

    worlds: dict[str, Any]
    names: list[str]
    candidates: np.ndarray
    results: dict[str, Any]

    def world(self, name: str, steps: int = 51) -> NavsimWorld:
        """A world whose objects are known for that many instants."""
        description = self.worlds[name]
        rows = description["objects"]
        values = np.array([row[2:] for row in rows], float).reshape(-1, 7)
        times = np.arange(steps) * 0.1
        poses = np.zeros((len(rows), steps, 3))
        poses[..., :2] = values[:, None, :2] + values[:, None, 5:7] * times[None, :, None]
        poses[..., 2] = values[:, None, 2]
        return NavsimWorld(
            ego=EgoStart(0.0, 0.0, 0.0, description["v0"]),
            polygons=tuple(
                MapPolygon(token, MapLayer[layer], shapely.box(*bounds))
                for token, layer, bounds in description["polys"]
            ),
            route=frozenset(description["route"]),
            centerline=np.stack([np.arange(-20.0, 121.0), np.zeros(141)], axis=-1),
            objects=ObjectTracks(
                tokens=tuple(row[1] for row in rows),
                kinds=tuple(KINDS[row[0]] for row in rows),
                sizes=values[:, 3:5],
                poses=poses,
                velocities=np.repeat(values[:, None, 5:7], steps, axis=1),
                present=np.ones((len(rows), steps), bool),
            ),
            red_lights=tuple(
                RedLight(token, shapely.box(*bounds), np.ones(steps, bool))
                for token, bounds in description.get("red", {}).items()
            ),
        )


@pytest.fixture(scope="session")
def golden(shared_dir: Path) -> Golden:
    content = json.loads((shared_dir / "golden" / "navsim" / "golden.json").read_text())
    table = content["v1"]["candidates_8x3_2Hz"]
    results = {version: content[version]["results"] for version in ("v1", "v2")}
    return Golden(content["v1"]["worlds"], list(table), np.array(list(table.values())), results)
