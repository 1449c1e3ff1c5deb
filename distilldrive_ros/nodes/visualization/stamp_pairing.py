"""Pairs the plan of an instant with the images of the same instant, whichever comes first. Knows no ROS."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class StampPairing(Generic[A, B]):
    """Keeps the newest `depth` unpaired items of either side by stamp; a stamp before the last one empties its side."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._left: OrderedDict[int, A] = OrderedDict()
        self._right: OrderedDict[int, B] = OrderedDict()

    def add_left(self, stamp_ns: int, item: A) -> tuple[A, B] | None:
        """A left item; the pair where the right one is there already."""
        _keep(self._left, stamp_ns, item, self._depth)
        return self._take(stamp_ns)

    def add_right(self, stamp_ns: int, item: B) -> tuple[A, B] | None:
        """A right item; the pair where the left one is there already."""
        _keep(self._right, stamp_ns, item, self._depth)
        return self._take(stamp_ns)

    def __len__(self) -> int:
        """Items of both sides that wait."""
        return len(self._left) + len(self._right)

    def _take(self, stamp_ns: int) -> tuple[A, B] | None:
        if stamp_ns not in self._left or stamp_ns not in self._right:
            return None
        return self._left.pop(stamp_ns), self._right.pop(stamp_ns)


T = TypeVar("T")


def _keep(side: OrderedDict[int, T], stamp_ns: int, item: T, depth: int) -> None:
    """A bag that loops sends old stamps again; what still waits from the pass before would never be paired rightly."""
    if side and stamp_ns < next(reversed(side)):
        side.clear()
    side[stamp_ns] = item
    while len(side) > depth:
        side.popitem(last=False)
