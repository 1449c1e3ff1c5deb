"""A car or van: a body swept across its width from a side view, with glass, lights and wheels painted upon it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distilldrive_ros.datasets.demo_scene.shapes import Array, Color, Face, Part, Solid, disc, face, shade

GLASS: Color = (50, 63, 78)
TYRE: Color = (30, 31, 34)
RIM: Color = (158, 161, 166)
HEAD_LIGHT: Color = (248, 246, 230)
TAIL_LIGHT: Color = (200, 38, 34)
PLATE: Color = (230, 230, 222)
BUMPER: Color = (46, 48, 52)

# Side views as (x / length, z / height), from the rear bumper over the roof to the front bumper.
SALOON = (
    (-0.5, 0.22), (-0.5, 0.54), (-0.485, 0.61), (-0.40, 0.64), (-0.265, 0.965), (-0.22, 1.0),
    (0.04, 1.0), (0.09, 0.965), (0.235, 0.64), (0.44, 0.575), (0.49, 0.52), (0.5, 0.44), (0.5, 0.22),
)  # fmt: skip
VAN = (
    (-0.5, 0.19), (-0.5, 0.58), (-0.495, 0.64), (-0.475, 0.95), (-0.45, 1.0),
    (0.22, 1.0), (0.265, 0.965), (0.385, 0.64), (0.47, 0.56), (0.495, 0.50), (0.5, 0.42), (0.5, 0.19),
)  # fmt: skip
HATCHBACK = (
    (-0.5, 0.22), (-0.5, 0.54), (-0.49, 0.64), (-0.415, 0.955), (-0.36, 1.0),
    (0.02, 1.0), (0.08, 0.965), (0.235, 0.64), (0.45, 0.575), (0.49, 0.52), (0.5, 0.44), (0.5, 0.22),
)  # fmt: skip
SUV = (
    (-0.5, 0.24), (-0.5, 0.57), (-0.49, 0.64), (-0.45, 0.965), (-0.41, 1.0),
    (0.05, 1.0), (0.105, 0.965), (0.225, 0.64), (0.455, 0.60), (0.495, 0.54), (0.5, 0.46), (0.5, 0.24),
)  # fmt: skip
PICKUP = (
    (-0.5, 0.24), (-0.5, 0.60), (-0.49, 0.64), (-0.10, 0.64), (-0.075, 0.965), (-0.04, 1.0),
    (0.11, 1.0), (0.15, 0.965), (0.255, 0.64), (0.46, 0.60), (0.495, 0.54), (0.5, 0.46), (0.5, 0.24),
)  # fmt: skip
BELT = 0.64

Profile = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Body:
    profile: Array  # (n, 2): x, z in metres
    length: float
    width: float
    height: float
    lean: float  # how much of the half width is lost at the roof

    def point(self, x: float, z: float, side: float) -> tuple[float, float, float]:
        """A point of the left (+1) or right (-1) skin: upright to the belt, leaning inwards above."""
        above = max(0.0, z / self.height - BELT) / (1 - BELT)
        return (x, side * self.width / 2 * (1 - self.lean * above), z)

    def edge_x(self, z: float, front: bool) -> float:
        """Where the outline crosses a height above the belt, at the front or the rear."""
        half = np.array([p for p in self.profile if (p[0] > 0) == front and p[1] >= BELT * self.height - 1e-9])
        order = np.argsort(half[:, 1])
        return float(np.interp(z, half[order, 1], half[order, 0]))

    @property
    def inside(self) -> tuple[float, float, float]:
        return (0.0, 0.0, 0.5 * self.height)


def car(
    length: float, width: float, height: float, paint: Color, van: bool = False, side_view: Profile | None = None
) -> Solid:
    """A passenger car, or a van, that fills the box (length, width, height) in metres; `side_view` None: the usual."""
    profile = np.array(side_view or (VAN if van else SALOON)) * (length, height)
    body = _Body(profile, length, width, height, 0.10 if van else 0.20)
    faces = [_strip(body, i, paint) for i in range(len(profile) - 1)]
    for side in (1.0, -1.0):
        faces += [_lower_side(body, side, paint), _upper_side(body, side, paint, van)]
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces)),), _blocks(body))


def _blocks(body: _Body) -> Array:
    bottom, belt, top = 0.12 * body.height, BELT * body.height, body.height
    rear, front = body.edge_x(0.8 * top, False), body.edge_x(0.8 * top, True)
    return np.array(
        [
            [0, 0, (bottom + belt) / 2, body.length, body.width, belt - bottom, 0],
            [(rear + front) / 2, 0, (belt + top) / 2, front - rear, body.width * (1 - body.lean / 2), top - belt, 0],
        ]
    )


def _strip(body: _Body, index: int, paint: Color) -> Face:
    """The strip across the car between two points of the side view."""
    (x0, z0), (x1, z1) = body.profile[index], body.profile[index + 1]
    quad = np.array([body.point(x0, z0, -1), body.point(x0, z0, 1), body.point(x1, z1, 1), body.point(x1, z1, -1)])
    decals: list[tuple[Array, Color]] = []
    if min(z0, z1) >= (BELT - 0.01) * body.height and abs(z1 - z0) > 0.2 * body.height:
        decals = [(_inset(quad, 0.07, 0.07), GLASS)]
    elif index in (0, len(body.profile) - 2):
        decals = _end_marks(body, x0, min(z0, z1), max(z0, z1), rear=index == 0)
    return face(quad, paint, body.inside, decals)


def _inset(quad: Array, across: float, along: float) -> Array:
    """A quad shrunk by these fractions of its width (edge 0-1) and of its length (edge 1-2)."""
    u = np.array([across, 1 - across, 1 - across, across])[:, None]
    v = np.array([along, along, 1 - along, 1 - along])[:, None]
    near, far = quad[0] + u * (quad[1] - quad[0]), quad[3] + u * (quad[2] - quad[3])
    return np.asarray((1 - v) * near + v * far)


def _end_marks(body: _Body, x: float, bottom: float, top: float, rear: bool) -> list[tuple[Array, Color]]:
    """Bumper, lights, plate and grille of one end."""

    def patch(y0: float, y1: float, z0: float, z1: float) -> Array:
        a, b = y0 * body.width / 2, y1 * body.width / 2
        low, high = bottom + z0 * (top - bottom), bottom + z1 * (top - bottom)
        return np.array([(x, a, low), (x, b, low), (x, b, high), (x, a, high)])

    low, high = (0.56, 0.92) if rear else (0.62, 0.98)
    light = TAIL_LIGHT if rear else HEAD_LIGHT
    return [
        (patch(-1.0, 1.0, 0.0, 0.30), BUMPER),
        (patch(-0.97, -0.60, low, high), light),
        (patch(0.60, 0.97, low, high), light),
        (patch(-0.28, 0.28, 0.38, 0.56) if rear else patch(-0.26, 0.26, 0.08, 0.26), PLATE),
        (patch(-0.5, 0.5, 0.68, 0.72) if rear else patch(-0.5, 0.5, 0.60, 0.84), BUMPER),
    ]


def _lower_side(body: _Body, side: float, paint: Color) -> Face:
    """The upright skin below the belt, with doors, sill and wheels."""
    y, belt, sill = side * body.width / 2, BELT * body.height, body.profile[0, 1]
    outline = [(x, y, z) for x, z in body.profile if z <= belt + 1e-9]
    marks: list[tuple[Array, Color]] = []
    for x in (-0.17 * body.length, 0.02 * body.length, 0.20 * body.length):
        seam = np.array([(x, y, belt), (x + 0.025, y, belt), (x + 0.025, y, sill), (x, y, sill)])
        marks.append((seam, shade(paint, 0.7)))
    a, b = -0.5 * body.length, 0.5 * body.length
    marks.append((np.array([(a, y, sill), (b, y, sill), (b, y, 1.3 * sill), (a, y, 1.3 * sill)]), BUMPER))
    radius = min(0.23 * body.height, 0.36)
    for x in (-0.30 * body.length, 0.31 * body.length):
        for scale, color in ((1.16, shade(BUMPER, 0.6)), (1.0, TYRE), (0.62, RIM), (0.2, TYRE)):
            marks.append((disc((x, y, radius), radius * scale), color))
    return face(outline, paint, body.inside, marks)


def _upper_side(body: _Body, side: float, paint: Color, van: bool) -> Face:
    """The leaning skin above the belt, with its windows."""
    outline = [body.point(x, z, side) for x, z in body.profile if z >= BELT * body.height - 1e-9]
    low, high = 0.665 * body.height, 0.94 * body.height
    frame, seal = 0.028 * body.length, 0.008 * body.length
    start = (0.12 if van else -0.04) * body.length

    def pane(a_low: float, b_low: float, b_high: float, a_high: float) -> Array:
        corners = ((a_low, low), (b_low, low), (b_high, high), (a_high, high))
        return np.array([body.point(x, z, side) for x, z in corners])

    front_pane = pane(start + seal, body.edge_x(low, True) - frame, body.edge_x(high, True) - frame, start + seal)
    panes = [(front_pane, GLASS)]
    if not van:
        ends = body.edge_x(low, False) + frame, body.edge_x(high, False) + frame
        panes.append((pane(ends[0], start - seal, start - seal, ends[1]), GLASS))
    return face(outline, paint, body.inside, panes)
