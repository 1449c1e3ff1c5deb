"""What the sun, the sky and the air do: colours and directions that follow from an appearance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.worlds.world import Appearance

Array = NDArray[np.float64]

# Sky and light over the sun's elevation (degrees): zenith, horizon, sun, ambient; RGB 0 to 1. Reading of photographs.
_ELEVATIONS = (-12.0, -4.0, 2.0, 12.0, 35.0, 90.0)
_ZENITH = (
    (0.02, 0.025, 0.05),
    (0.07, 0.09, 0.18),
    (0.26, 0.36, 0.56),
    (0.30, 0.48, 0.75),
    (0.33, 0.55, 0.82),
    (0.30, 0.53, 0.83),
)
_HORIZON = (
    (0.05, 0.05, 0.075),
    (0.24, 0.19, 0.22),
    (0.86, 0.66, 0.50),
    (0.87, 0.84, 0.78),
    (0.82, 0.87, 0.92),
    (0.82, 0.88, 0.93),
)
_SUN = (
    (0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0),
    (0.50, 0.30, 0.16),
    (0.66, 0.54, 0.40),
    (0.66, 0.61, 0.53),
    (0.66, 0.63, 0.58),
)
_AMBIENT = (
    (0.17, 0.165, 0.18),
    (0.20, 0.20, 0.26),
    (0.40, 0.40, 0.44),
    (0.48, 0.50, 0.54),
    (0.52, 0.54, 0.58),
    (0.54, 0.56, 0.59),
)
_CLOUD_GREY = np.array([0.78, 0.80, 0.82])
NIGHT_BELOW_DEG = -1.0


@dataclass(frozen=True)
class Lighting:
    """Colours (3,) of 0 to 1; `sun_direction` (3,) points to the sun; `haze_density` 1/m: exp(-density * distance)."""

    sun_direction: Array
    sun: Array
    ambient: Array
    zenith: Array
    horizon: Array
    haze_density: float
    night: bool

    def shade(self, normals: Array) -> Array:
        """Light (N, 3) that falls on surfaces with these unit normals (N, 3)."""
        toward = np.maximum(normals @ self.sun_direction, 0.0)
        # Less of the sky is seen by what looks down.
        sky = 0.82 + 0.18 * normals[:, 2]
        return sky[:, None] * self.ambient + toward[:, None] * self.sun

    @property
    def shadow_darkness(self) -> float:
        """Share of the ground's light that a full shadow takes."""
        up = float(self.sun_direction[2])
        direct = self.sun.mean() * max(up, 0.0)
        return float(direct / (direct + self.ambient.mean())) if direct > 0 else 0.0


def lighting(appearance: Appearance) -> Lighting:
    """The light of an appearance."""
    azimuth, elevation = math.radians(appearance.sun_azimuth_deg), math.radians(max(appearance.sun_elevation_deg, 2.0))
    # Azimuth counts clockwise from north, as compasses do; north is +y.
    direction = np.array(
        [math.sin(azimuth) * math.cos(elevation), math.cos(azimuth) * math.cos(elevation), math.sin(elevation)]
    )
    cover = float(np.clip(appearance.overcast, 0.0, 1.0))
    zenith, horizon, sun, ambient = (_at(t, appearance.sun_elevation_deg) for t in (_ZENITH, _HORIZON, _SUN, _AMBIENT))
    grey = _CLOUD_GREY * horizon.mean() / 0.86
    return Lighting(
        sun_direction=direction,
        sun=sun * (1 - cover) ** 1.2,
        ambient=ambient * (1 + 0.28 * cover),
        zenith=zenith + cover * (grey * 0.92 - zenith),
        horizon=horizon + cover * (grey - horizon),
        haze_density=math.log(2.0) / max(appearance.haze_m, 1.0),
        night=appearance.sun_elevation_deg < NIGHT_BELOW_DEG,
    )


def _at(table: tuple[tuple[float, float, float], ...], elevation_deg: float) -> Array:
    return np.array([np.interp(elevation_deg, _ELEVATIONS, column) for column in np.array(table).T])
