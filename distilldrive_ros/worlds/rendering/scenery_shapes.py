"""Solids of what stands beside the road."""

from __future__ import annotations

import numpy as np

from distilldrive_ros.datasets.demo_scene.scenery import BARK, LEAVES, POLE, ROOFS, WALLS, house, street_lamp
from distilldrive_ros.datasets.demo_scene.shapes import (
    Ball,
    Color,
    Part,
    Solid,
    box_faces,
    disc,
    face,
    shade,
    wall_patch,
)
from distilldrive_ros.worlds.world import Scenery, SceneryKind

# Houses above this height are towers with a drawn facade, m.
TOWER_ABOVE_M = 10.5
TOWER_WALLS: tuple[Color, ...] = (*WALLS, (150, 156, 164), (126, 138, 150), (206, 204, 198), (172, 160, 146))
SIGN_FACES: tuple[tuple[Color, Color], ...] = (
    ((36, 84, 160), (236, 236, 232)),
    ((236, 236, 232), (196, 40, 36)),
    ((40, 110, 70), (236, 236, 232)),
    ((232, 182, 40), (30, 30, 32)),
)


def is_tower(thing: Scenery) -> bool:
    """Whether a building is drawn as a tower."""
    return thing.kind is SceneryKind.BUILDING and float(thing.size[2]) > TOWER_ABOVE_M


def scenery_solid(thing: Scenery) -> Solid:
    """The solid of a thing: origin at its foot, x along its length."""
    rng = np.random.default_rng(thing.seed)
    length, width, height = (float(v) for v in thing.size)
    if thing.kind is SceneryKind.BUILDING:
        if is_tower(thing):
            return tower(length, width, height, rng)
        storeys = max(1, round((height - 0.5) / 3.0))
        roof = ROOFS[int(rng.integers(len(ROOFS)))] if storeys < 4 and rng.random() < 0.7 else None
        return house(length, width, storeys, WALLS[int(rng.integers(len(WALLS)))], roof)
    if thing.kind is SceneryKind.TREE:
        return tree(length, height, rng)
    if thing.kind is SceneryKind.BUSH:
        return bush(length, width, height, rng)
    if thing.kind is SceneryKind.STREET_LAMP:
        return street_lamp()
    if thing.kind is SceneryKind.FENCE:
        return fence(length, height)
    if thing.kind is SceneryKind.SIGN:
        return sign(height, rng)
    return pole(max(length, 0.14), height)


def tower(length: float, width: float, height: float, rng: np.random.Generator) -> Solid:
    """Plain walls for a drawn facade, a flat roof with a rim and a machine house."""
    wall = TOWER_WALLS[int(rng.integers(len(TOWER_WALLS)))]
    center, size = (0.0, 0.0, height / 2), (length, width, height)
    faces = box_faces(center, size, wall, (132, 130, 126))
    roof = (0.4 * length, 0.4 * width, 2.4)
    faces += box_faces((0.1 * length, 0.0, height + 1.2), roof, shade(wall, 0.85), (120, 118, 116))
    blocks = np.array([[*center, *size, 0.0], [0.1 * length, 0.0, height + 1.2, *roof, 0.0]])
    return Solid((Part((0.0, 0.0), (length, width), tuple(faces)),), blocks)


def tree(spread: float, height: float, rng: np.random.Generator) -> Solid:
    """A trunk and a crown of a few blobs, lighter towards the top; fewer of them than a near view deserves."""
    stem, radius = 0.38 * height, 0.5 * spread
    leaf = LEAVES[int(rng.integers(len(LEAVES)))]
    low, high = stem, height
    middle = np.array([0.0, 0.0, (low + high) / 2])
    stretch = np.array([1.0, 1.0, (high - low) / (2 * radius)])
    balls = [Ball(middle, 0.72 * radius, shade(leaf, 0.6))]
    for _ in range(9):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        place = middle + stretch * direction * radius * float(rng.uniform(0.5, 0.66))
        bright = 0.82 + 0.2 * direction[2] + float(rng.uniform(-0.06, 0.06))
        balls.append(Ball(place, float(rng.uniform(0.32, 0.46)) * radius, shade(leaf, bright)))
    thick = max(0.16, 0.035 * height)
    trunk = tuple(box_faces((0.0, 0.0, (stem + 0.5) / 2), (thick, thick, stem + 0.5), BARK))
    blocks = np.array(
        [[0, 0, stem / 2, thick, thick, stem, 0], [*middle, 1.5 * radius, 1.5 * radius, 0.9 * (high - low), 0]]
    )
    return Solid((Part((0.0, 0.0), (thick, thick), trunk, tuple(balls)),), blocks)


def bush(length: float, width: float, height: float, rng: np.random.Generator) -> Solid:
    """A hedge or a bush: overlapping blobs."""
    leaf = LEAVES[int(rng.integers(len(LEAVES)))]
    count = max(2, int(length / max(0.6 * height, 0.3)))
    balls = []
    for i in range(count):
        x = (i + 0.5) * length / count - length / 2
        radius = 0.5 * height * float(rng.uniform(0.9, 1.1))
        balls.append(Ball(np.array([x, 0.0, 0.5 * height]), radius, shade(leaf, float(rng.uniform(0.75, 1.0)))))
    blocks = np.array([[0, 0, height / 2, length, min(width, height), height, 0.0]])
    return Solid((Part((0.0, 0.0), (length, width), (), tuple(balls)),), blocks)


def pole(width: float, height: float) -> Solid:
    """A bare post."""
    block = [0, 0, height / 2, width, width, height, 0.0]
    faces = box_faces((0.0, 0.0, height / 2), (width, width, height), POLE)
    return Solid((Part((0.0, 0.0), (width, width), tuple(faces)),), np.array([block]))


def fence(length: float, height: float) -> Solid:
    """Posts with two rails along x."""
    steel: Color = (146, 150, 152)
    faces = []
    for i in range(max(2, int(length / 2.0) + 1)):
        x = -length / 2 + i * length / max(1, int(length / 2.0))
        faces += box_faces((x, 0.0, height / 2), (0.07, 0.07, height), steel)
    for z in (0.5 * height, 0.92 * height):
        faces += box_faces((0.0, 0.0, z), (length, 0.05, 0.12), shade(steel, 1.1))
    blocks = np.array([[0, 0, height / 2, length, 0.08, height, 0.0]])
    return Solid((Part((0.0, 0.0), (length, 0.1), tuple(faces)),), blocks)


def sign(height: float, rng: np.random.Generator) -> Solid:
    """A traffic sign on a post; its front looks along +x."""
    board, mark = SIGN_FACES[int(rng.integers(len(SIGN_FACES)))]
    faces = box_faces((0.0, 0.0, height / 2), (0.07, 0.07, height), POLE)
    middle = (0.06, 0.0, height - 0.34)
    if rng.random() < 0.5:
        outline = disc((0.0, 0.0, 0.0), 0.34, 16)[:, [1, 0, 2]] + middle
        inner = disc((0.0, 0.0, 0.0), 0.22, 12)[:, [1, 0, 2]] + middle
        back = outline - (0.02, 0.0, 0.0)
        faces.append(face(outline, board, (0.0, 0.0, middle[2]), [(inner, mark)]))
        faces.append(face(back, (140, 142, 144), (0.5, 0.0, middle[2])))
    else:
        size = (0.03, 0.7, 0.62)
        patch = wall_patch("front", middle, size, (-0.26, 0.26), (0.12, 0.5))
        faces += box_faces(middle, size, board, None, {"front": [(patch, mark)]})
    blocks = np.array([[0, 0, height / 2, 0.08, 0.08, height, 0.0], [0.05, 0, height - 0.34, 0.05, 0.7, 0.66, 0.0]])
    return Solid((Part((0.0, 0.0), (0.7, 0.7), tuple(faces)),), blocks)
