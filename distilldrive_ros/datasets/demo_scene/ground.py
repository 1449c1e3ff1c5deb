"""Colours of the ground: asphalt, road markings, kerbs, pavement and grass, filtered to the size of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.demo_scene.road import (
    CROSSING_S,
    LANE_WIDTH,
    PARKING_FREE_S,
    ROAD_HALF_WIDTH,
    STOP_LINE_S,
    WALK_OUTER,
    Road,
)

Array32 = NDArray[np.float32]

ASPHALT = (94, 96, 101)
BAY = (84, 86, 92)
PAINT = (236, 236, 230)
YELLOW = (232, 186, 74)
KERB = (178, 175, 168)
PAVING = (170, 164, 155)
GRASS = (114, 140, 74)

LINE_WIDTH = 0.15
KERB_WIDTH = 0.18
DASH_PERIOD, DASH_LENGTH = 6.0, 3.0
STRIPE_PERIOD, STRIPE_WIDTH = 1.0, 0.5
BAY_LENGTH = 6.0
TILE = 0.85

# Reflectivity (0 to 255) that the LiDAR sees.
INTENSITY_ASPHALT, INTENSITY_PAINT, INTENSITY_PAVING, INTENSITY_GRASS = 9.0, 70.0, 20.0, 28.0


@dataclass(frozen=True)
class Ground:
    """The ground with its grain: `noise` is a tile (n, n) float32 of mean 0 that repeats, n a power of 2."""

    road: Road
    noise: Array32

    def grain(self, x: Array32, y: Array32, cell: float) -> Array32:
        """Noise at world places, one texel per `cell` metres."""
        n = len(self.noise)
        i = (x * np.float32(1 / cell)).astype(np.int32) & (n - 1)
        j = (y * np.float32(1 / cell)).astype(np.int32) & (n - 1)
        return np.asarray(self.noise.ravel()[i * n + j])

    def colors(self, x: Array32, y: Array32, footprint: Array32) -> Array32:
        """Colours (3, rows, columns) 0 to 255 at world places (rows, columns).

        `footprint`: size of a pixel on the ground, m. Planes of colour, not pixels of three: numpy is three times as
        fast on long rows.
        """
        s, d = self.road.frenet(x, y)
        wide = _spread(d)
        long = _spread(s)
        side = np.abs(d)
        coarse, fine = self.grain(x, y, 0.31), self.grain(x, y, 0.035)
        fine *= np.clip(1 - footprint / 0.12, 0, 1)
        coarse *= np.clip(1 - footprint / 1.5, 0, 1)
        patches = self.grain(x, y, 2.3)
        out = _plane(GRASS) + (9 * patches + 13 * coarse + 13 * fine) * _plane((1.0, 1.0, 0.6))
        seams = np.maximum(_repeat(s, TILE, 0.05, long), _repeat(side, TILE, 0.05, wide))
        paving = (1 - 0.16 * seams + 0.012 * patches + 0.035 * coarse + 0.03 * fine) * _plane(PAVING)
        _blend(out, paving, _band(side, ROAD_HALF_WIDTH, WALK_OUTER, wide))
        _blend(out, _plane(KERB), _band(side, ROAD_HALF_WIDTH, ROAD_HALF_WIDTH + KERB_WIDTH, wide))
        _blend(out, _plane(KERB), 0.7 * _band(side, WALK_OUTER - 0.1, WALK_OUTER + 0.1, wide))
        bay = _band(side, LANE_WIDTH, ROAD_HALF_WIDTH, wide)
        # Tyres polish two tracks in every lane.
        tracks = np.exp(-(((np.abs(side - LANE_WIDTH / 2) - 0.8) / 0.32) ** 2))
        tone = 1 + 0.02 * patches + 0.04 * coarse + 0.06 * fine - 0.045 * tracks
        asphalt = tone * (_plane(ASPHALT) + bay * (_plane(BAY) - _plane(ASPHALT)))
        _blend(out, asphalt, _band(side, 0, ROAD_HALF_WIDTH, wide))
        paint, yellow = self._markings(s, d, side, long, wide)
        worn = np.clip(0.93 + 0.05 * coarse, 0, 1)
        _blend(out, _plane(YELLOW), yellow * worn)
        _blend(out, _plane(PAINT), paint * worn)
        return out

    def _markings(self, s: Array32, d: Array32, side: Array32, long: Array32, wide: Array32) -> tuple[Array32, Array32]:
        """Coverage of white and of yellow paint."""
        near_crossing = _band(s, STOP_LINE_S - 1.0, CROSSING_S[1] + CROSSING_S[0] - STOP_LINE_S + 1.0, long)
        half = LINE_WIDTH / 2
        dashes = _repeat(s, DASH_PERIOD, DASH_LENGTH, long)
        center = _band(d, -half, half, wide) * dashes * (1 - near_crossing)
        edge = _band(side, LANE_WIDTH - half, LANE_WIDTH + half, wide) * (1 - near_crossing)
        no_parking = _band(s, *PARKING_FREE_S, long)
        bay_lines = (
            _repeat(s, BAY_LENGTH, 0.1, long) * _band(side, LANE_WIDTH, ROAD_HALF_WIDTH, wide) * (1 - no_parking)
        )
        zebra = _band(s, *CROSSING_S, long) * _repeat(
            d + np.float32(STRIPE_WIDTH / 2), STRIPE_PERIOD, STRIPE_WIDTH, wide
        )
        zebra *= _band(side, 0, ROAD_HALF_WIDTH - 0.2, wide)
        stop = _band(s, STOP_LINE_S - 0.2, STOP_LINE_S + 0.2, long) * _band(d, -LANE_WIDTH, 0, wide)
        far_line = CROSSING_S[1] + CROSSING_S[0] - STOP_LINE_S
        stop += _band(s, far_line - 0.2, far_line + 0.2, long) * _band(d, 0, LANE_WIDTH, wide)
        kerb_line = (
            _band(side, ROAD_HALF_WIDTH - 0.32, ROAD_HALF_WIDTH - 0.20, wide)
            * no_parking
            * (1 - _band(s, *CROSSING_S, long))
        )
        white = np.minimum(center + 0.9 * edge + 0.8 * bay_lines + zebra + stop, 1)
        return white, np.minimum(kerb_line, 1)

    def intensities(self, x: Array32, y: Array32) -> Array32:
        """LiDAR reflectivity (N,) of ground points."""
        s, d = self.road.frenet(x, y)
        side, point = np.abs(d), np.float32(0.05)
        sharp = np.full_like(s, point)
        out = np.full_like(s, INTENSITY_GRASS)
        out[side < WALK_OUTER] = INTENSITY_PAVING
        out[side < ROAD_HALF_WIDTH] = INTENSITY_ASPHALT
        paint, _ = self._markings(s, d, side, sharp, sharp)
        return np.asarray(out + paint * (INTENSITY_PAINT - INTENSITY_ASPHALT))


def make_noise(rng: np.random.Generator, size: int = 512) -> Array32:
    """A tile of smooth noise that repeats, mean 0, mostly within -1 and 1."""
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((16, 0.35), (64, 0.45), (size // 2, 0.5), (size, 0.6)):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        factor = size // cells
        tile = np.repeat(np.repeat(coarse, factor, 0), factor, 1)
        for axis in (0, 1):
            tile = _smooth(tile, factor, axis)
        total += np.float32(weight) * tile / max(float(tile.std()), 1e-6)
    return np.asarray(total - total.mean())


def _smooth(tile: Array32, width: int, axis: int) -> Array32:
    """Running mean over `width` texels along an axis, round the edge."""
    if width <= 1:
        return tile
    shifted = [np.roll(tile, k - width // 2, axis) for k in range(0, width, max(1, width // 8))]
    return np.asarray(np.mean(shifted, axis=0, dtype=np.float32))


def _spread(coordinate: Array32) -> Array32:
    """How much a coordinate (rows, columns) changes over one pixel; at least a millimetre."""
    out = np.empty_like(coordinate)
    across = np.abs(np.diff(coordinate, axis=1))
    out[:, 1:] = across
    out[:, 0] = across[:, 0]
    if len(coordinate) > 1:
        down = np.abs(np.diff(coordinate, axis=0))
        out[1:] += down
        out[0] += down[0]
    return np.clip(out, np.float32(1e-3), np.float32(50.0), out=out)


def _band(coordinate: Array32, low: float, high: float, spread: Array32) -> Array32:
    """Share of a pixel's width that lies between two values."""
    half = spread * np.float32(0.5)
    covered = np.minimum(coordinate + half, np.float32(high)) - np.maximum(coordinate - half, np.float32(low))
    return np.asarray(np.clip(covered / spread, 0, 1))


def _repeat(coordinate: Array32, period: float, filled: float, spread: Array32) -> Array32:
    """Share of a pixel's width that a pattern fills which is on for the first `filled` of every `period`."""

    def integral(value: Array32) -> Array32:
        turns = np.floor(value / np.float32(period))
        rest = value - turns * np.float32(period)
        return np.asarray(turns * np.float32(filled) + np.minimum(rest, np.float32(filled)))

    half = spread * np.float32(0.5)
    return np.asarray(np.clip((integral(coordinate + half) - integral(coordinate - half)) / spread, 0, 1))


def _plane(color: tuple[float, float, float]) -> Array32:
    """A colour (3, 1, 1) to spread over planes."""
    return np.asarray(color, np.float32)[:, None, None]


def _blend(image: Array32, color: Array32, share: Array32) -> None:
    """Lay a colour, (3, 1, 1) or (3, rows, columns), over an image in place, by a share (rows, columns) in [0, 1]."""
    image += share * (color - image)
