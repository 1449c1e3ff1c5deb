"""Vectorised map elements. Mirrors `msg/MapPolyline.msg` and `msg/VectorMap.msg`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class PolylineKind(IntEnum):
    """`MapPolyline` constants; the first three are the networks' class index (DistillDrive spec 2.5).

    The last four are closed outlines that only the ground truth of a route has.
    """

    CROSSING = 0
    DIVIDER = 1
    BOUNDARY = 2
    CENTERLINE = 3
    DRIVABLE_AREA = 4
    LANE = 5
    ROUTE_LANE = 6
    INTERSECTION = 7


@dataclass(frozen=True)
class MapPolyline:
    """One element: `xy` (N, 2) float32 in metres; a crossing is closed (first point = last point)."""

    kind: PolylineKind
    score: float
    xy: NDArray[np.float32]


@dataclass(frozen=True)
class VectorMap:
    """Map elements around the vehicle, highest score first."""

    stamp_ns: int
    frame_id: str
    model_id: str
    polylines: tuple[MapPolyline, ...]
