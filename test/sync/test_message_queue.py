"""Which message of a sensor belongs to an expected stamp."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.sync.message_queue import MessageQueue

stamps = st.integers(0, 60)


def queue_of(values: list[int], length: int = 100) -> MessageQueue[str]:
    queue: MessageQueue[str] = MessageQueue(length)
    for value in values:
        queue.insert(value, str(value))
    return queue


def expected(values: list[int], target: int, tolerance: int, settle: int) -> int | None:
    """The rule of the docstring, on everything that ever comes."""
    settled = [v for v in values if abs(v - target) <= settle]
    if settled:
        return min(settled)
    fitting = [v for v in values if abs(v - target) <= tolerance]
    return min(fitting, key=lambda v: (abs(v - target), v)) if fitting else None


@given(st.lists(stamps, unique=True).map(sorted), stamps, st.integers(0, 20), st.integers(0, 20))
def test_decided_answers_are_final_and_right(values: list[int], target: int, tolerance: int, settle: int) -> None:
    settle = min(settle, tolerance)
    final = expected(values, target, tolerance, settle)
    for count in range(len(values) + 1):
        choice = queue_of(values[:count]).choose(target, tolerance, settle)
        if choice.decided:
            assert choice.item == (None if final is None else str(final))
        if choice.item is not None:
            assert choice.item == str(choice.stamp_ns) and abs(choice.stamp_ns - target) <= tolerance
    assert choice.item == (None if final is None else str(final))
    assert choice.decided == (any(abs(v - target) <= settle or v >= target for v in values))


@given(st.lists(stamps, unique=True), stamps, stamps)
def test_newest_between(values: list[int], first: int, last: int) -> None:
    inside = [v for v in values if first <= v <= last]
    assert queue_of(values).newest_between(first, last) == (str(max(inside)) if inside else None)


@given(st.lists(stamps, unique=True, min_size=1), st.integers(1, 10), stamps)
def test_bounds_and_order(values: list[int], length: int, floor: int) -> None:
    queue: MessageQueue[str] = MessageQueue(length)
    pushed = sum(queue.insert(value, str(value)) for value in values)
    assert len(queue) == min(length, len(values)) and pushed == len(values) - len(queue)
    assert queue.newest_ns == max(values)
    queue.drop_before(floor)
    kept = [v for v in range(61) if v in queue]
    assert len(kept) == len(queue) and all(v >= floor for v in kept)
    if kept:
        assert queue.oldest() == (kept[0], str(kept[0]))
        assert queue.drop_if(lambda item: item == str(kept[0])) == 1 and kept[0] not in queue
    # A message pushed out or dropped still proves that later ones are on their way.
    assert queue.newest_ns == max(values)
    queue.clear()
    assert len(queue) == 0 and queue.newest_ns is None
