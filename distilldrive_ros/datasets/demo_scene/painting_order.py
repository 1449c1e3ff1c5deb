"""In which order to paint pieces that stand on the ground so that the nearer ones cover the farther ones."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TOUCH_M = 0.02


def far_to_near(rectangles: Array, eye: Array) -> list[int]:
    """Order of ground rectangles (N, 4, 2) seen from `eye` (2,).

    Of two rectangles that do not overlap, an edge line of one has the other wholly on its outer side. Seen from that
    side the other one covers, seen from the inner side it is covered (Newell's test on the ground plane). Where the
    test says nothing, distance decides; so it does in the rare circle of three.
    """
    covers = _covers(rectangles, eye)
    farness = -np.linalg.norm(rectangles.mean(axis=1) - eye, axis=1)
    waiting = covers.sum(axis=1)  # how many pieces this one covers that are not painted yet
    ready = [(farness[i], i) for i in range(len(rectangles)) if waiting[i] == 0]
    heapq.heapify(ready)
    left = set(range(len(rectangles)))
    order: list[int] = []
    while left:
        if ready:
            _, index = heapq.heappop(ready)
            if index not in left:
                continue
        else:
            index = min(left, key=lambda i: (farness[i], i))
        left.remove(index)
        order.append(index)
        for above in np.flatnonzero(covers[:, index]):
            waiting[above] -= 1
            if waiting[above] == 0:
                heapq.heappush(ready, (farness[above], int(above)))
    return order


def _covers(rectangles: Array, eye: Array) -> NDArray[np.bool_]:
    """Matrix (N, N): whether piece i may hide piece j."""
    count = len(rectangles)
    edges = np.roll(rectangles, -1, axis=1) - rectangles
    # `ground_corners` runs clockwise: the outer side lies to the left of every edge.
    outward = np.stack([-edges[..., 1], edges[..., 0]], axis=-1)
    outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-9)
    covers = np.zeros((count, count), bool)
    for i in range(count):
        own = np.einsum("ec,ec->e", outward[i], rectangles[i])
        reach = np.einsum("ec,nkc->nek", outward[i], rectangles) - own[None, :, None]
        beyond = reach.min(axis=2) > -TOUCH_M  # (N, 4): piece n lies wholly outside edge e of piece i
        outside = np.einsum("ec,ec->e", outward[i], eye - rectangles[i]) > 0
        covers[:, i] |= (beyond & outside).any(axis=1)
        covers[i] |= (beyond & ~outside).any(axis=1)
    np.fill_diagonal(covers, False)
    # Both may seem to cover each other when an edge of each separates them: then neither hides anything.
    return covers & ~covers.T
