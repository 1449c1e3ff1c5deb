"""Numbers for everything that a LiDAR beam or an instance picture can meet, as colours of a picture.

A colour's 24 bits are a number. What never moves has numbers from `FIRST_STATIC`; an agent's are its place in the
snapshot, counted from 1, times 256, plus the face's number in its mesh. 0 is the sky.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.worlds.rendering.lidar_scan import FacePlanes
from distilldrive_ros.worlds.rendering.mesh import Mesh

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

FIRST_STATIC = 1 << 20
FACES_PER_AGENT = 256
MAX_AGENTS = FIRST_STATIC // FACES_PER_AGENT - 1
NO_AGENT = -1


def number_colors(numbers: Ids) -> NDArray[np.uint8]:
    """Numbers (N,) as colours (N, 4)."""
    bytes_ = [(numbers >> shift) & 255 for shift in (16, 8, 0)]
    return np.stack([*bytes_, np.full(len(numbers), 255)], axis=-1).astype(np.uint8)


def color_numbers(picture: NDArray[np.uint8]) -> Ids:
    """Numbers (H, W) of a picture (H, W, 3)."""
    return picture.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def face_reflectivity(mesh: Mesh) -> Array:
    """LiDAR intensity (F,) at steep incidence: bright paint gives more."""
    luma = mesh.colors[:, :3].astype(np.float64) @ np.array([0.3, 0.59, 0.11])
    total = np.bincount(mesh.faces, luma, len(mesh.planes)) / np.maximum(
        np.bincount(mesh.faces, None, len(mesh.planes)), 1
    )
    return np.asarray(8.0 + 62.0 * (total / 255) ** 1.3)


@dataclass
class StaticFaces:
    """Planes of what never moves, in order of registration."""

    _planes: list[Array] = field(default_factory=list)
    _reflectivity: list[Array] = field(default_factory=list)
    _count: int = 0

    def register(self, planes: Array, reflectivity: Array) -> int:
        """Take planes (F, 4) and reflectivities (F,); returns the number of the first."""
        first = FIRST_STATIC + self._count
        self._planes.append(planes)
        self._reflectivity.append(reflectivity)
        self._count += len(planes)
        return first

    def finish(self) -> FacePlanes:
        """All of them; row i has the number `FIRST_STATIC + i`."""
        planes = np.concatenate([np.zeros((0, 4)), *self._planes])
        return FacePlanes(planes, np.full(len(planes), NO_AGENT), np.concatenate([np.zeros(0), *self._reflectivity]))
