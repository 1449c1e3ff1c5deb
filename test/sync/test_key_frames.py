"""Only key frames pass; what separates them from the set before is not lost with those between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.scene.sensor_frame import Discontinuity, SensorFrame
from distilldrive_ros.sync.key_frames import KeyFrameFilter


@pytest.fixture(scope="module")
def frame() -> SensorFrame:
    return next(iter(sensor_frames(np.random.default_rng(0))))


def test_discontinuity_goes_to_the_next_key_frame(frame: SensorFrame) -> None:
    filtered = KeyFrameFilter()
    for stamp in (10, 30):
        filtered.add(stamp)
    assert filtered.passed(replace(frame, stamp_ns=5, discontinuity=Discontinuity.START)) is None
    first = filtered.passed(replace(frame, stamp_ns=10, discontinuity=Discontinuity.NONE))
    assert first is not None and first.discontinuity == Discontinuity.START
    assert filtered.passed(replace(frame, stamp_ns=20, discontinuity=Discontinuity.GAP)) is None
    second = filtered.passed(replace(frame, stamp_ns=30, discontinuity=Discontinuity.TELEPORT))
    assert second is not None and second.discontinuity == Discontinuity.GAP | Discontinuity.TELEPORT


def test_it_keeps_the_newest_or_all(frame: SensorFrame) -> None:
    few, all_of_them = KeyFrameFilter(kept=2), KeyFrameFilter(kept=None)
    for stamp in (10, 20, 30):
        few.add(stamp)
        all_of_them.add(stamp)
    calm = replace(frame, discontinuity=Discontinuity.NONE, stamp_ns=10)
    assert few.passed(calm) is None
    assert all_of_them.passed(calm) is calm
