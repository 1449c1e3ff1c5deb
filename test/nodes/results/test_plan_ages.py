"""Ages of plans against a clock that is set by hand."""

from __future__ import annotations

from distilldrive_ros.nodes.results.plan_ages import REMEMBERED_ANCHORS, PlanAges


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_ages_add_up() -> None:
    clock = _Clock()
    ages = PlanAges(clock)
    for stamp, at in ((1, 0.0), (2, 0.5)):
        clock.now = at
        ages.anchor(stamp)
    clock.now = 0.75
    ages.candidates(1)
    clock.now = 1.0
    assert ages.plan(1) == {"sensor_to_plan": 1.0, "sensor_to_candidates": 0.75, "candidates_to_plan": 0.25}
    assert ages.plan(2) == {"sensor_to_plan": 0.5}


def test_plan_without_its_anchor_has_no_age() -> None:
    ages = PlanAges(_Clock())
    ages.anchor(1)
    assert ages.plan(2) is None
    assert ages.plan(1) is not None
    assert ages.plan(1) is None  # each anchor counts once


def test_looped_bag_starts_anew_and_memory_is_bounded() -> None:
    clock = _Clock()
    ages = PlanAges(clock)
    for number in range(3 * REMEMBERED_ANCHORS):
        ages.anchor(number)
    assert ages.plan(0) is None
    last = 3 * REMEMBERED_ANCHORS - 1
    clock.now = 5.0
    ages.anchor(last)
    clock.now = 5.5
    assert ages.plan(last) == {"sensor_to_plan": 0.5}
    assert len(ages._anchors) < REMEMBERED_ANCHORS
