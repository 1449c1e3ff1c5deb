"""Which ego bodies meet which objects: pairs of oriented boxes, by separating axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.boxes import ground_corners
from distilldrive_ros.planning.pdm.world import ObjectTracks

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Pairs that are tested in one go: keeps the arrays within the processor's cache.
PAIRS_AT_ONCE = 16384


def object_corners(objects: ObjectTracks) -> Array:
    """Corners (N, T, 4, 2) of all objects at all instants; where not present they mean nothing."""
    count, steps = objects.present.shape
    boxes = np.zeros((count, steps, 7))
    boxes[..., :2], boxes[..., 6] = objects.poses[..., :2], objects.poses[..., 2]
    boxes[..., 3:5] = objects.sizes[:, None]
    return ground_corners(np.nan_to_num(boxes.reshape(-1, 7))).reshape(count, steps, 4, 2)


def boxes_touch(first: Array, second: Array) -> NDArray[np.bool_]:
    """Whether rectangles (K, 4, 2) touch or overlap rectangles (K, 4, 2), pairwise (K,)."""
    out = np.ones(len(first), bool)
    for box in (first, second):
        for edge in (box[:, 1] - box[:, 0], box[:, 2] - box[:, 1]):
            a = (first * edge[:, None]).sum(axis=-1)
            b = (second * edge[:, None]).sum(axis=-1)
            out &= (a.min(axis=1) <= b.max(axis=1)) & (b.min(axis=1) <= a.max(axis=1))
    return out


def segment_touches_box(start: Array, end: Array, box: Array) -> NDArray[np.bool_]:
    """Whether segments (K, 2) to (K, 2) touch rectangles (K, 4, 2), pairwise (K,)."""
    segment = np.stack([start, end], axis=1)
    along = end - start
    normal = np.stack([-along[:, 1], along[:, 0]], axis=-1)
    out = np.ones(len(box), bool)
    for axis in (normal, box[:, 1] - box[:, 0], box[:, 2] - box[:, 1]):
        a, b = (segment * axis[:, None]).sum(axis=-1), (box * axis[:, None]).sum(axis=-1)
        out &= (a.min(axis=1) <= b.max(axis=1)) & (b.min(axis=1) <= a.max(axis=1))
    return out


@dataclass(frozen=True)
class Contacts:
    """K contacts: ego body `proposal`, `state` against `object` at `instant`; index arrays (K,)."""

    proposal: Indices
    state: Indices
    object: Indices
    instant: Indices


def find_contacts(bodies: Array, states: Indices, instants: Indices, objects: ObjectTracks) -> Contacts:
    """Contacts of bodies (P, S, 4, 2) with the objects.

    Args:
        bodies: corners of the ego; all of one size.
        states: index (S,) of the state that each body belongs to.
        instants: index (S,) of the objects' instant that each body is held against; later than known: no contact.
        objects: the objects.
    """
    centers = bodies.mean(axis=2)
    reach = np.linalg.norm(bodies[0, 0] - centers[0, 0], axis=-1).max()
    radii = np.linalg.norm(objects.sizes, axis=1) / 2 + reach
    relevant = _relevant(centers, radii, objects)
    corners = object_corners(objects)
    near: list[tuple[Indices, Indices, Indices]] = []
    for column, instant in enumerate(instants.tolist()):
        if instant >= objects.steps or not len(relevant):
            continue
        here = relevant[objects.present[relevant, instant]]
        # Coordinate by coordinate: several times faster than arrays of pairs, and this is where the time goes.
        dx = centers[:, column, 0, None] - objects.poses[here, instant, 0]
        dy = centers[:, column, 1, None] - objects.poses[here, instant, 1]
        row, which = np.nonzero(dx * dx + dy * dy <= radii[here] ** 2)
        near.append((row, np.full_like(row, column), here[which]))
    if not near:
        none = np.zeros(0, np.int64)
        return Contacts(none, none, none, none)
    row, column_of, which = (np.concatenate(parts) for parts in zip(*near, strict=True))
    touching = np.zeros(len(row), bool)
    for start in range(0, len(row), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        first, second = bodies[row[part], column_of[part]], corners[which[part], instants[column_of[part]]]
        touching[part] = boxes_touch(first, second)
    row, column_of, which = row[touching], column_of[touching], which[touching]
    return Contacts(row, states[column_of], which, instants[column_of])


def _relevant(centers: Array, radii: Array, objects: ObjectTracks) -> Indices:
    """Objects that are ever inside the bounds of all bodies, grown by their reach."""
    low, high = centers.reshape(-1, 2).min(axis=0), centers.reshape(-1, 2).max(axis=0)
    place, grown = objects.poses[..., :2], radii[:, None, None]
    inside = ((place >= low - grown) & (place <= high + grown)).all(axis=-1)
    return np.flatnonzero((inside & objects.present).any(axis=1))
