"""How old plans are when they arrive: steady-clock time since the anchor's message of the same stamp. Knows no ROS.

Stamps of a played bag cannot tell: the player's clock stands still while it waits for a plan.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

REMEMBERED_ANCHORS = 256


@dataclass
class PlanAges:
    """Pairs anchors, candidates and plans of one stamp (nanoseconds). The newest anchors are remembered."""

    now: Callable[[], float] = time.monotonic
    _anchors: OrderedDict[int, float] = field(default_factory=OrderedDict)
    _candidates: OrderedDict[int, float] = field(default_factory=OrderedDict)

    def anchor(self, stamp_ns: int) -> None:
        """The anchor sensor's message has arrived."""
        _remember(self._anchors, stamp_ns, self.now())

    def candidates(self, stamp_ns: int) -> None:
        """The model's raw candidates have arrived."""
        _remember(self._candidates, stamp_ns, self.now())

    def plan(self, stamp_ns: int) -> dict[str, float] | None:
        """Seconds from anchor to plan, and of the two steps where known; None without such an anchor."""
        now = self.now()
        began = self._anchors.pop(stamp_ns, None)
        between = self._candidates.pop(stamp_ns, None)
        if began is None:
            return None
        ages = {"sensor_to_plan": now - began}
        if between is not None:
            ages["sensor_to_candidates"] = between - began
            ages["candidates_to_plan"] = now - between
        return ages


def _remember(times: OrderedDict[int, float], stamp_ns: int, now: float) -> None:
    # A repeated stamp (a looping bag) starts anew.
    times.pop(stamp_ns, None)
    times[stamp_ns] = now
    while len(times) > REMEMBERED_ANCHORS:
        times.popitem(last=False)
