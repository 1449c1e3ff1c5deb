"""Key frames come through however sets and announcements interleave; nothing else does."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import Degraded, Discontinuity, EgoStatus, SensorFrame
from distilldrive_ros.sync.key_frame_filter import KeyFrameFilter

WAIT_NS = 1000


def frame(stamp_ns: int, flags: Discontinuity = Discontinuity.NONE) -> SensorFrame:
    unknown = math.nan
    ego = EgoStatus(stamp_ns, "base_link", stamp_ns, 0.0, 0.0, 0.0, unknown, unknown, unknown)
    return SensorFrame(
        stamp_ns, "base_link", 0, Degraded.NONE, flags, Command.STRAIGHT, "odom", np.eye(4), (), None, ego
    )


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[list[tuple[str, int]], set[int]]:
    """Sets 1..n, some of them announced as samples; both streams in order, merged at will."""
    count = draw(st.integers(1, 20))
    samples = sorted(draw(st.sets(st.integers(1, count), min_size=1)))
    events = [("set", stamp) for stamp in range(1, count + 1)]
    position = 0
    for stamp in samples:
        position = draw(st.integers(position, len(events)))
        events.insert(position, ("sample", stamp))
        position += 1
    return events, set(samples)


@given(interleavings())
def test_exactly_the_key_frames_in_order(case: tuple[list[tuple[str, int]], set[int]]) -> None:
    events, samples = case
    keys = KeyFrameFilter(WAIT_NS)
    out = []
    for now, (kind, stamp) in enumerate(events):
        out += keys.add(frame(stamp), now) if kind == "set" else keys.announce(stamp, now)
    assert [f.stamp_ns for f in out] == sorted(samples)
    keys.poll(len(events) + WAIT_NS)
    sets = sum(kind == "set" for kind, _ in events)
    assert keys.left_out == sets - len(out)


def test_a_discontinuity_of_a_left_out_set_is_passed_on() -> None:
    keys = KeyFrameFilter(WAIT_NS)
    keys.add(frame(1, Discontinuity.START), 0)
    keys.add(frame(2, Discontinuity.GAP), 0)
    (out,) = keys.announce(2, 0)
    assert out.discontinuity == Discontinuity.START | Discontinuity.GAP
    (then,) = keys.announce(3, 0) + keys.add(frame(3), 0)
    assert then.discontinuity == Discontinuity.NONE


def test_waiting_ends() -> None:
    keys = KeyFrameFilter(WAIT_NS)
    assert not keys.add(frame(1), 0)
    keys.poll(WAIT_NS - 1)
    assert keys.left_out == 0
    keys.poll(WAIT_NS)
    assert keys.left_out == 1
    assert not keys.announce(1, WAIT_NS)


def test_a_looped_bag_is_decided_anew() -> None:
    keys = KeyFrameFilter(WAIT_NS)
    for _ in range(2):
        out = keys.announce(10, 0) + keys.add(frame(10), 0) + keys.add(frame(15), 0) + keys.announce(20, 0)
        out += keys.add(frame(20), 0)
        assert [f.stamp_ns for f in out] == [10, 20]


def test_memory_is_bounded() -> None:
    keys = KeyFrameFilter(10**18, capacity=8)
    for stamp in range(1, 1000):
        keys.add(frame(stamp), 0)
    assert keys.left_out == 999 - 8
