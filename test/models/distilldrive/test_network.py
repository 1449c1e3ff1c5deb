"""The step as a pure function: state in, state out, nothing hidden. On the small student."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from distilldrive_ros.models.distilldrive.checkpoint import trained_form
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentOutputs
from distilldrive_ros.models.distilldrive.state import StudentState, state_tensors
from distilldrive_ros.models.network_form import check_forms
from distilldrive_ros.scene.errors import CheckpointError

from .conftest import InputsFactory


@torch.inference_mode()
def drive(network: StudentNetwork, make: InputsFactory, frames: int) -> tuple[StudentState, StudentOutputs]:
    """A few frames from scratch."""
    state: StudentState | None = None
    for t in range(frames):
        state, outputs = network(state, make(t))
    assert state is not None
    return state, outputs


def assert_equal_states(first: StudentState, second: StudentState) -> None:
    for a, b in zip(state_tensors(first), state_tensors(second), strict=True):
        assert torch.equal(a, b)


@torch.inference_mode()
def test_same_state_and_inputs_give_the_same_bits(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    state, _ = drive(tiny_network, tiny_inputs, 2)
    first_state, first = tiny_network(state, tiny_inputs(2))
    drive(tiny_network, tiny_inputs, 1)  # another stream in between leaves no trace
    second_state, second = tiny_network(state, tiny_inputs(2))
    assert_equal_states(first_state, second_state)
    assert torch.equal(first.motion.plan_offsets, second.motion.plan_offsets)


@torch.inference_mode()
def test_the_given_state_is_not_modified(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    state, _ = drive(tiny_network, tiny_inputs, 2)
    copies = [tensor.clone() for tensor in state_tensors(state)]
    tiny_network(state, tiny_inputs(2))
    assert all(torch.equal(a, b) for a, b in zip(copies, state_tensors(state), strict=True))


def test_queue_grows_to_its_length_and_stays(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    lengths = []
    state: StudentState | None = None
    with torch.inference_mode():
        for t in range(6):
            state, outputs = tiny_network(state, tiny_inputs(t))
            lengths.append(state.queue.agent_box.shape[1])
            assert int(outputs.motion.ego_period[0]) == min(t + 1, 4)
            assert int(outputs.motion.period.max()) <= min(t + 1, 4)
    assert lengths == [1, 2, 3, 4, 4, 4]


def test_remembered_rows_keep_their_ids(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    state, first = drive(tiny_network, tiny_inputs, 1)
    kept = tiny_network.config.detection.num_temporal
    total = tiny_network.config.detection.num_anchors
    assert first.ids[0].tolist() == list(range(total))
    with torch.inference_mode():
        _, second = tiny_network(state, tiny_inputs(1))
    assert torch.equal(second.ids[0, :kept], state.identity.ids[0, :kept])
    assert second.ids[0, kept:].tolist() == list(range(total, 2 * total - kept))


def test_history_older_than_two_seconds_does_not_count(
    tiny_network: StudentNetwork, tiny_inputs: InputsFactory
) -> None:
    state, _ = drive(tiny_network, tiny_inputs, 3)
    total = tiny_network.config.detection.num_anchors
    with torch.inference_mode():
        _, late = tiny_network(state, tiny_inputs(3, delay=1.6))
        _, in_time = tiny_network(state, tiny_inputs(3, delay=1.4))
    next_id = int(state.identity.next_id[0])
    assert late.ids[0].tolist() == list(range(next_id, next_id + total))
    assert late.motion.period[0].tolist() == [1] * total
    assert int(late.motion.ego_period[0]) == 1
    assert int(in_time.ids[0, 0]) < next_id
    assert int(in_time.motion.ego_period[0]) == 4


def test_ego_speed_of_the_queue_is_the_last_prediction(
    tiny_network: StudentNetwork, tiny_inputs: InputsFactory
) -> None:
    state, outputs = drive(tiny_network, tiny_inputs, 1)
    with torch.inference_mode():
        following, _ = tiny_network(state, tiny_inputs(1))
        after_gap, _ = tiny_network(state, tiny_inputs(1, delay=5.0))
    assert float(following.queue.ego_box[0, -1, 0, 9]) == float(outputs.motion.status[0, 6])
    assert float(after_gap.queue.ego_box[0, -1, 0, 9]) == 0.0


def test_ego_speed_of_the_queue_may_be_that_of_the_last_step(
    tiny_network: StudentNetwork, tiny_inputs: InputsFactory
) -> None:
    motion = replace(tiny_network.config.motion, measured_speed=True)
    config = replace(tiny_network.config, motion=motion)
    network = untrained_network(config, torch.Generator().manual_seed(0)).eval()
    state, _ = drive(network, tiny_inputs, 1)
    given = tiny_inputs(1, delay=0.25)
    # 0.75 s for three metres ahead and one to the side, the vehicle turned about the vertical by then.
    turn = torch.tensor(0.3, dtype=torch.float64)
    pose = state.world_from_lidar[0].clone()
    rotation = torch.eye(4, dtype=torch.float64)
    rotation[:2, :2] = torch.stack((torch.stack((turn.cos(), -turn.sin())), torch.stack((turn.sin(), turn.cos()))))
    moved = pose @ rotation
    moved[:3, 3] += moved[:3, :3] @ torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64)
    elapsed = float(given.timestamp[0] - state.timestamp[0])
    with torch.inference_mode():
        following, _ = network(state, replace(given, world_from_lidar=moved[None]))
        after_gap, _ = network(state, tiny_inputs(1, delay=5.0))
        standing, _ = network(state, replace(given, timestamp=state.timestamp))
    assert float(following.queue.ego_box[0, -1, 0, 9]) == pytest.approx(3.0 / elapsed, rel=1e-4)
    assert float(after_gap.queue.ego_box[0, -1, 0, 9]) == 0.0
    assert float(standing.queue.ego_box[0, -1, 0, 9]) == 0.0
    # Weights of one form are not run as the other.
    assert trained_form(tiny_network.config, network.state_dict()).motion.measured_speed
    with pytest.raises(CheckpointError, match="another form"):
        check_forms("here", network.state_dict(), tiny_network.state_dict())


def test_nan_in_an_image_shows_in_outputs_and_state(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    inputs = tiny_inputs(0)
    images = inputs.images.clone()
    images[0, 0, 0, 64, 100] = torch.nan
    with torch.inference_mode():
        state, outputs = tiny_network(None, replace(inputs, images=images))
        good_state, good = tiny_network(None, inputs)
    assert not state.is_finite()
    assert not outputs.is_finite()
    assert good_state.is_finite() and good.is_finite()


@torch.inference_mode()
def test_noise_only_on_request(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    inputs = tiny_inputs(0)
    config = tiny_network.config

    def plan(seed: int | None, epsilon: torch.Tensor | None = None) -> torch.Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return tiny_network(None, inputs, generator, epsilon)[1].motion.plan_offsets

    assert torch.equal(plan(1), plan(1))
    assert not torch.equal(plan(1), plan(2))
    assert not torch.equal(plan(1), plan(None))
    zeros = torch.zeros(1, config.detection.num_anchors + config.motion.num_ego_tokens, config.motion.latent_dim)
    assert torch.equal(plan(None, zeros), plan(None))


@torch.inference_mode()
def test_two_streams_perceive_as_one(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    """Perception treats streams apart; the generative step mixes them as the reference does (Q4)."""
    state: StudentState | None = None
    double: StudentState | None = None
    for t in range(2):
        state, single = tiny_network(state, tiny_inputs(t))
        double, both = tiny_network(double, tiny_inputs(t, streams=2))
    for row in (0, 1):
        assert torch.allclose(both.detection.logits[-1][row], single.detection.logits[-1][0], atol=1e-3)
        assert torch.allclose(both.map.anchors[-1][row], single.map.anchors[-1][0], atol=1e-3)
        assert torch.equal(both.ids[row], single.ids[0])


@torch.inference_mode()
def test_inputs_that_do_not_fit(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    state, _ = tiny_network(None, tiny_inputs(0))
    with pytest.raises(ValueError, match="state holds 1 streams, inputs 2"):
        tiny_network(state, tiny_inputs(1, streams=2))
    inputs = tiny_inputs(0)
    with pytest.raises(ValueError, match="images are"):
        tiny_network(None, replace(inputs, images=inputs.images[..., :64]))


def test_gradients_reach_every_parameter_of_the_step(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    """Training needs them; what is registered for training alone is left out."""
    _, outputs = tiny_network(None, tiny_inputs(0))
    motion = outputs.motion
    terms = [motion.plan_offsets, motion.plan_logits, motion.motion_offsets, motion.motion_logits, motion.status]
    for head in (outputs.detection, outputs.map):
        terms += [*head.logits, *head.anchors, *(quality for quality in head.quality if quality is not None)]
    torch.stack([term.sum() for term in terms]).sum().backward()
    training_only = ("depth_branch", "dqn_model", "feature_adapter", "future_distribution")
    silent = [
        name
        for name, parameter in tiny_network.named_parameters()
        if parameter.requires_grad and parameter.grad is None and not any(part in name for part in training_only)
    ]
    tiny_network.zero_grad(set_to_none=True)
    assert silent == []
