"""The step in fixed memory, on the CPU, where it runs eagerly: the same results, whatever is done with its states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.captured_step import CapturedStep
from distilldrive_ros.models.tensor_block import TensorBlock

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Pair:
    """Two numbers of a memory, the second one a view of what the first one was."""

    newest: Tensor
    older: Tensor


@dataclass(frozen=True)
class Reading:
    value: Tensor
    flags: tuple[Tensor, ...]
    nothing: None = None


def shift(state: Pair | None, reading: Reading) -> tuple[Pair, Reading]:
    """Remembers the last two readings; its results are views of its arguments, as unkind as a step can be."""
    older = reading.value - 1 if state is None else state.newest
    oldest = torch.zeros(3) if state is None else state.older
    outputs = Reading(oldest + 10 * older, (reading.flags[0],))
    return Pair(reading.value, older), outputs


def reading(number: float) -> Reading:
    return Reading(torch.full((3,), float(number)), (torch.tensor([number > 2]),))


@pytest.fixture
def captured() -> CapturedStep[Pair, Reading, Reading]:
    return CapturedStep(shift, reading(0), CPU)


def test_runs_follow_each_other(captured: CapturedStep[Pair, Reading, Reading]) -> None:
    expected_state, state = None, None
    for number in (1.0, 5.0, 2.0, 7.0):
        expected_state, expected = shift(expected_state, reading(number))
        state, outputs = captured.run(state, reading(number))
        assert torch.equal(outputs.value, expected.value) and torch.equal(outputs.flags[0], expected.flags[0])
        assert torch.equal(state.newest, expected_state.newest) and torch.equal(state.older, expected_state.older)
        assert outputs.nothing is None


def test_states_may_be_given_back_in_any_order(captured: CapturedStep[Pair, Reading, Reading]) -> None:
    first, _ = captured.run(None, reading(1))
    second, outputs = captured.run(first, reading(2))
    _, again = captured.run(first, reading(2))
    assert torch.equal(again.value, outputs.value)
    captured.run(None, reading(9))
    _, third = captured.run(second, reading(3))
    assert torch.equal(third.value, torch.full((3,), 1.0 + 10 * 2))


def test_buffers_stay_where_they_are_and_nobody_else_sees_them(captured: CapturedStep[Pair, Reading, Reading]) -> None:
    blocks: tuple[TensorBlock[Pair] | TensorBlock[Reading], ...] = (captured.inputs, captured.state, captured.outputs)
    before = [block.memory.data_ptr() for block in blocks]
    state, outputs = captured.run(None, reading(1))
    kept = [state.newest.clone(), outputs.value.clone()]
    following, later = captured.run(state, reading(4))
    assert [block.memory.data_ptr() for block in blocks] == before
    handed_out = {t.untyped_storage().data_ptr() for t in (state.newest, outputs.value, following.newest, later.value)}
    assert len(handed_out) == 4 and not handed_out & set(before)
    assert torch.equal(state.newest, kept[0]) and torch.equal(outputs.value, kept[1])


def test_wrong_shapes_and_types_are_named(captured: CapturedStep[Pair, Reading, Reading]) -> None:
    state, _ = captured.run(None, reading(1))
    with pytest.raises(ValueError, match=r"value is \(2,\) torch.float32, expected \(3,\) torch.float32"):
        captured.run(state, replace(reading(1), value=torch.zeros(2)))
    with pytest.raises(ValueError, match=r"flags.0 is \(1,\) torch.int64, expected \(1,\) torch.bool"):
        captured.run(state, replace(reading(1), flags=(torch.zeros(1, dtype=torch.int64),)))
    with pytest.raises(ValueError, match=r"flags.1: there or absent, unlike before"):
        captured.run(state, replace(reading(1), flags=reading(1).flags * 2))
    with pytest.raises(ValueError, match=r"older is"):
        captured.run(replace(state, newest=torch.ones(3), older=torch.zeros(4)), reading(2))
    _, outputs = captured.run(state, reading(2))
    assert torch.equal(outputs.value, torch.full((3,), 10.0))


def test_a_failed_run_spoils_no_state() -> None:
    fails = False

    def sometimes(state: Pair | None, given: Reading) -> tuple[Pair, Reading]:
        if fails:
            raise RuntimeError("no memory")
        return shift(state, given)

    captured = CapturedStep(sometimes, reading(0), CPU)
    first, _ = captured.run(None, reading(1))
    second, _ = captured.run(first, reading(2))
    fails = True
    with pytest.raises(RuntimeError, match="no memory"):
        captured.run(second, reading(3))
    fails = False
    _, outputs = captured.run(second, reading(3))
    assert torch.equal(outputs.value, torch.full((3,), 1.0 + 10 * 2))


def test_a_step_without_memory() -> None:
    captured = CapturedStep(lambda _, given: (None, replace(given, value=2 * given.value)), reading(0), CPU)
    for number in (1.0, 2.0):
        state, outputs = captured.run(None, reading(number))
        assert state is None and torch.equal(outputs.value, torch.full((3,), 2 * number))


def test_the_report_tells_why_nothing_was_captured(captured: CapturedStep[Pair, Reading, Reading]) -> None:
    report = captured.report
    assert (report.captured, report.reason, report.buffer_bytes) == (False, "no GPU", 6 * 256)


def test_tensors_of_a_block_lie_apart() -> None:
    block = TensorBlock(Reading(torch.zeros(3, 0), (torch.tensor(True), torch.arange(40.0).double())), CPU)
    block.fill(Reading(torch.zeros(3, 0), (torch.tensor(True), torch.arange(40.0).double())))
    copy = block.copied_to_host()
    block.memory.zero_()
    assert (
        copy.value.shape == (3, 0) and bool(copy.flags[0]) and torch.equal(copy.flags[1], torch.arange(40.0).double())
    )
    assert not bool(block.tensors.flags[0])
