"""The student's step in fixed memory against the engine: start, history, gap, reset, another drive's state."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.engine import EngineOptions, StudentEngine
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentOutputs
from distilldrive_ros.models.distilldrive.state import StudentState, named_tensors

from .conftest import InputsFactory

GAP_S = 10.0


def equal(mine: dict[str, Tensor], theirs: dict[str, Tensor], atol: float = 0.0) -> None:
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(
            tensor, theirs[name], atol=atol, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_student_in_fixed_memory(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    """Frames 0 and 4 start anew; frame 2 comes after a gap, which is a mask inside the step."""
    engine = StudentEngine(tiny_network)
    captured = engine.captured_step()
    addresses = [block.memory.data_ptr() for block in (captured.inputs, captured.state, captured.outputs)]
    expected_state: StudentState | None = None
    state: StudentState | None = None
    with torch.inference_mode():
        for t in range(5):
            inputs = tiny_inputs(t, delay=GAP_S if t >= 2 else 0.0)
            if t == 4:
                expected_state = state = None
            expected_state, expected = engine.decode_features(
                expected_state, engine.extract_features(inputs.images), inputs
            )
            state, checked = captured.run(state, inputs)
            # The engine's own queue grows with the frames; rows that do not count make sums round differently.
            tolerance = 0.0 if t == 0 else 2e-3
            equal(named_tensors(checked.outputs), named_tensors(expected.decodable()), tolerance)
            assert bool(checked.finite)
            assert state.queue.agent_box.shape[1] == engine.config.motion.queue_length
            assert torch.equal(state.queue.period, expected_state.queue.period)
            assert torch.equal(state.identity.ids, expected_state.identity.ids)
    assert [block.memory.data_ptr() for block in (captured.inputs, captured.state, captured.outputs)] == addresses


def test_decodable_outputs_are_all_that_is_decoded(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    with torch.inference_mode():
        _, outputs = tiny_network(None, tiny_inputs(0))
    slim: StudentOutputs = outputs.decodable()
    assert torch.equal(slim.motion.plan_offsets, outputs.motion.plan_offsets)
    assert torch.equal(slim.detection.anchors[-1], outputs.detection.anchors[-1]) and len(slim.map.logits) == 1
    assert slim.is_finite() and slim.detection.feature.numel() == 0


def test_numbers_that_are_not_finite_are_told(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    captured = StudentEngine(tiny_network, EngineOptions()).captured_step()
    inputs = tiny_inputs(0)
    bad = inputs.images.clone()
    bad[0, 0] = torch.nan
    _, checked = captured.run(None, type(inputs)(bad, *list(vars(inputs).values())[1:]))
    assert not bool(checked.finite)
    _, checked = captured.run(None, inputs)
    assert bool(checked.finite)


@pytest.mark.parametrize("captured", [True, False])
def test_captured_by_default_on_a_gpu_only(captured: bool) -> None:
    options = EngineOptions(captured=captured)
    assert options.captured_on(torch.device("cpu")) is captured
    assert EngineOptions().captured_on(torch.device("cuda:0")) and not EngineOptions().captured_on(torch.device("cpu"))
