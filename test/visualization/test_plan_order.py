"""What is drawn of a plan, and on top of what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.visualization.colors import INVALID
from distilldrive_ros.visualization.plan_order import drawing_order, reason_words

numbers = st.one_of(st.floats(-50, 50), st.sampled_from([np.nan, np.inf]))


@st.composite
def plans(draw: st.DrawFn) -> PlanCandidates:
    """Any plan, with points and scores that need not be finite."""
    count = draw(st.integers(0, 6))
    candidates = []
    for mode in range(count):
        flat = draw(st.lists(numbers, min_size=8, max_size=8))
        reasons = InvalidReason(draw(st.integers(0, 31)))
        positions = np.array(flat).reshape(4, 2)
        candidates.append(Candidate(mode, Command.LEFT, draw(numbers), reasons, 0.5, positions, np.zeros(4), None))
    valid = [i for i, c in enumerate(candidates) if not c.invalid_reasons]
    selected = draw(st.sampled_from([-1, *valid]))
    return PlanCandidates(
        0, "base_link", 0, "m@1", ScoreType.SIGMOID, Command.LEFT, Degraded.NONE, selected, tuple(candidates)
    )


@given(plans())
def test_lines_are_finite_and_the_selected_one_is_last(plan: PlanCandidates) -> None:
    drawn = drawing_order(plan)
    for item in drawn:
        assert np.isfinite(item.line).all() and len(item.line) >= 2
        assert (item.line[0] == 0).all()
        assert item.candidate is plan.candidates[item.index]
    assert all(not item.selected for item in drawn[:-1])
    kinds = [item.valid for item in drawn if not item.selected]
    assert kinds == sorted(kinds)


def test_order_is_invalid_then_rising_score_then_selected(plan: PlanCandidates) -> None:
    drawn = drawing_order(replace(plan, selected=1))
    assert [d.candidate.mode for d in drawn] == [5, 4, 0, 3, 1]
    assert drawn[0].color == INVALID and not drawn[0].valid
    assert drawn[-1].selected


def test_a_line_ends_before_its_first_bad_point(plan: PlanCandidates) -> None:
    positions = plan.candidates[0].positions.copy()
    positions[3, 1] = np.nan
    broken = replace(plan.candidates[0], positions=positions)
    unusable = replace(plan.candidates[1], positions=np.full((6, 2), np.nan))
    drawn = drawing_order(replace(plan, candidates=(broken, unusable)))
    assert len(drawn) == 1
    assert drawn[0].line.tolist() == [[0, 0], [2.5, 0], [5, 0], [7.5, 0]]


def test_reasons_in_words() -> None:
    assert reason_words(InvalidReason.START_JUMP | InvalidReason.OFFROAD) == "start jump, offroad"
    assert reason_words(InvalidReason.VALID) == ""
