"""The drawing thread and the pairing of plans with images."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.nodes.visualization.render_worker import RenderWorker
from distilldrive_ros.nodes.visualization.stamp_pairing import StampPairing


def test_newest_job_of_a_kind_wins_and_kinds_do_not_disturb_each_other() -> None:
    done: list[str] = []
    gate, entered = threading.Event(), threading.Event()
    worker = RenderWorker("test", lambda kind, error: done.append(f"{kind} failed"))

    def block() -> None:
        entered.set()
        gate.wait(10)

    worker.post("a", block)
    assert entered.wait(10)
    for number in range(3):
        worker.post("a", lambda n=number: done.append(f"a{n}"))
        worker.post("b", lambda n=number: done.append(f"b{n}"))
    gate.set()
    assert worker.wait_idle(10)
    assert done == ["a2", "b2"]
    assert worker.replaced("a") == worker.replaced("b") == 2
    assert worker.stop()


def test_a_failed_job_is_reported_and_the_next_one_done() -> None:
    seen: list[object] = []
    worker = RenderWorker("test", lambda kind, error: seen.append((kind, str(error))))

    def fail() -> None:
        raise ValueError("no paint")

    worker.post("a", fail)
    assert worker.wait_idle(10)
    worker.post("a", lambda: seen.append("done"))
    assert worker.wait_idle(10)
    assert seen == [("a", "no paint"), "done"]
    assert worker.stop() and worker.stop()


def test_nothing_runs_after_stop() -> None:
    seen: list[int] = []
    worker = RenderWorker("test", lambda kind, error: None)
    worker.stop()
    worker.post("a", lambda: seen.append(1))
    assert not seen


def test_pairs_in_either_order() -> None:
    pairing: StampPairing[str, str] = StampPairing(3)
    assert pairing.add_left(1, "plan") is None
    assert pairing.add_right(1, "image") == ("plan", "image")
    assert pairing.add_right(2, "image") is None
    assert pairing.add_left(2, "plan") == ("plan", "image")
    assert len(pairing) == 0


def test_a_bag_that_loops_is_paired_with_its_own_pass() -> None:
    pairing: StampPairing[str, str] = StampPairing(3)
    for stamp in (1, 2, 3):
        pairing.add_right(stamp, "first pass")
    pairing.add_right(1, "second pass")
    assert pairing.add_left(3, "plan") is None
    assert pairing.add_left(1, "plan") == ("plan", "second pass")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20))), st.integers(1, 4))
def test_pairs_have_equal_stamps_and_memory_is_bounded(events: list[tuple[bool, int]], depth: int) -> None:
    pairing: StampPairing[int, int] = StampPairing(depth)
    for left, stamp in events:
        pair = pairing.add_left(stamp, stamp) if left else pairing.add_right(stamp, stamp)
        assert pair in (None, (stamp, stamp))
        assert len(pairing) <= 2 * depth
