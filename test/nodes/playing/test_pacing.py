"""When a recorded instant is due, and lock-step with the planner."""

from __future__ import annotations

import struct
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from distilldrive_ros.nodes.playing.lockstep import LockStep, header_stamp_ns
from distilldrive_ros.nodes.playing.pacing import ReplayPacer

SECOND = 1_000_000_000


@given(st.floats(0.1, 20), st.lists(st.integers(0, 10**12), min_size=1))
def test_errors_never_add_up(rate: float, stamps: list[int]) -> None:
    """Every due time follows from the origin alone, whatever was waited for before."""
    pacer = ReplayPacer(rate, threading.Event(), now_ns=lambda: 5 * SECOND)
    pacer.restart(10**15)
    for stamp in stamps:
        assert pacer.due_ns(10**15 + stamp) == pytest.approx(5 * SECOND + stamp / rate, abs=1)


def test_a_hold_moves_all_that_follows() -> None:
    pacer = ReplayPacer(2.0, threading.Event(), now_ns=lambda: 0)
    pacer.restart(0)
    pacer.hold(3 * SECOND)
    assert pacer.due_ns(10 * SECOND) == 8 * SECOND


def test_rate_zero_is_due_at_once() -> None:
    pacer = ReplayPacer(0.0, threading.Event())
    pacer.restart(0)
    assert pacer.wait_for(10**18, lambda _: pytest.fail("ticked"), 1)


def test_waits_no_shorter_and_ticks_in_recorded_time() -> None:
    pacer = ReplayPacer(2.0, threading.Event())
    pacer.restart(7 * SECOND)
    ticks: list[int] = []
    begin = time.monotonic_ns()
    assert pacer.wait_for(7 * SECOND + 200_000_000, ticks.append, 10_000_000)
    assert time.monotonic_ns() - begin >= 99_000_000
    assert ticks == sorted(ticks) and ticks[0] > 7 * SECOND and ticks[-1] < 7 * SECOND + 200_000_000
    assert all((tick - 7 * SECOND) % 20_000_000 == 0 for tick in ticks), "multiples of the period, at rate 2"


def test_stop_ends_a_wait() -> None:
    stop = threading.Event()
    pacer = ReplayPacer(1.0, stop)
    pacer.restart(0)
    threading.Timer(0.05, stop.set).start()
    assert not pacer.wait_for(3600 * SECOND, lambda _: None, 0)


def test_stamp_is_read_from_both_byte_orders() -> None:
    little = b"\x00\x01\x00\x00" + struct.pack("<iI", 12, 34)
    big = b"\x00\x00\x00\x00" + struct.pack(">iI", 12, 34)
    assert header_stamp_ns(little) == header_stamp_ns(big) == 12 * SECOND + 34
    with pytest.raises(ValueError, match="no header"):
        header_stamp_ns(little[:8])


def test_lock_step_waits_for_its_own_plan_only() -> None:
    step = LockStep(threading.Event())
    assert step.wait(0.0), "nothing is out yet"
    step.sent(5)
    step.acknowledge(4)
    assert not step.wait(0.01) and step.missed == 1
    step.sent(6)
    threading.Timer(0.02, lambda: step.acknowledge(6)).start()
    assert step.wait(10.0) and step.missed == 1


def test_lock_step_is_released_by_stop() -> None:
    stop = threading.Event()
    step = LockStep(stop)
    step.sent(5)

    def end() -> None:
        stop.set()
        step.release()

    threading.Timer(0.02, end).start()
    assert step.wait(60.0)
