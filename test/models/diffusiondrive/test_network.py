"""The small network: pure, reproducible, and the same however it is computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.bev_attention import CrossBevAttention, PaddedMap
from distilldrive_ros.models.diffusiondrive.config import Variant, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork, DiffusionInputs, DiffusionOutputs
from distilldrive_ros.models.diffusiondrive.noise import fixed_noise, random_noise
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode


def run(
    network: DiffusionDriveNetwork, inputs: DiffusionInputs, sampling: SamplingMode = SamplingMode.COMPATIBLE
) -> DiffusionOutputs:
    noise = random_noise(network.config, len(inputs.status), torch.Generator().manual_seed(5))
    with torch.inference_mode():
        return network(inputs, noise, sampling)


def published(outputs: DiffusionOutputs) -> tuple[Tensor, ...]:
    plan = outputs.plan
    return (plan.candidates, plan.scores, outputs.agents.states, outputs.agents.logits, outputs.bev_semantic)


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("sampling", list(SamplingMode))
def test_executions_agree(tiny_inputs: DiffusionInputs, variant: Variant, sampling: SamplingMode) -> None:
    config = replace(diffusiondrive_tiny(), variant=variant)
    network = untrained_network(config, torch.Generator().manual_seed(3))
    results = []
    for execution in Execution:
        network.execution = execution
        results.append(published(run(network, tiny_inputs, sampling)))
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            torch.testing.assert_close(mine, theirs, atol=2e-4, rtol=1e-4, equal_nan=True)


def test_streams_do_not_see_each_other(tiny_network: DiffusionDriveNetwork, tiny_inputs: DiffusionInputs) -> None:
    noise = random_noise(tiny_network.config, 2, torch.Generator().manual_seed(5))
    one = DiffusionInputs(tiny_inputs.camera[:1], tiny_inputs.lidar[:1], tiny_inputs.status[:1])
    with torch.inference_mode():
        both = tiny_network(tiny_inputs, noise)
        alone = tiny_network(one, type(noise)(noise.initial[:1], noise.factors[:, :1]))
    for a, b in zip(published(both), published(alone), strict=True):
        torch.testing.assert_close(a[:1], b, atol=1e-4, rtol=1e-4, equal_nan=True)


def test_selected_candidates_have_scores(tiny_network: DiffusionDriveNetwork, tiny_inputs: DiffusionInputs) -> None:
    config, plan = tiny_network.config, run(tiny_network, tiny_inputs).plan
    selector = plan.selector
    assert selector is not None
    assert plan.candidates.shape == (2, config.num_candidates, 8, 3) == (2, 160, 8, 3)
    assert ((plan.scores > 0) & (plan.scores < 1)).sum(dim=1).tolist() == [config.num_selected] * 2
    coarse = selector.coarse_score.gather(1, selector.selected)
    assert (coarse.diff(dim=1) <= 0).all()
    rest = selector.coarse_score.scatter(1, selector.selected, 0.0).amax(dim=1)
    assert (coarse[:, -1] >= rest).all() and ((selector.coarse_score > 0) & (selector.coarse_score < 1)).all()


def test_modes_of_sampling_differ(tiny_network: DiffusionDriveNetwork, tiny_inputs: DiffusionInputs) -> None:
    first, second = (run(tiny_network, tiny_inputs, mode).plan.candidates for mode in SamplingMode)
    assert float((first - second).abs().max()) > 1e-3


def test_same_input_gives_the_same_plan(tiny_network: DiffusionDriveNetwork, tiny_inputs: DiffusionInputs) -> None:
    one = DiffusionInputs(tiny_inputs.camera[:1], tiny_inputs.lidar[:1], tiny_inputs.status[:1])
    with torch.inference_mode():
        first, second = (tiny_network(one, fixed_noise(tiny_network.config)) for _ in range(2))
    assert torch.equal(first.plan.candidates, second.plan.candidates)


def test_untrained_weights_follow_the_generator() -> None:
    first, again, other = (
        untrained_network(diffusiondrive_tiny(), torch.Generator().manual_seed(seed)).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    changed = [key for key, value in first.items() if value.ndim > 1 and not torch.equal(value, other[key])]
    fixed = [key for key, value in first.items() if value.ndim > 1 and key not in changed]
    assert all(key.endswith(("pos_emb", "plan_anchor")) for key in fixed)


def test_wrong_shapes_are_refused(tiny_network: DiffusionDriveNetwork, tiny_inputs: DiffusionInputs) -> None:
    with pytest.raises(ValueError, match=r"lidar has the shape \(2, 1, 64, 64\)"):
        run(tiny_network, DiffusionInputs(tiny_inputs.camera, tiny_inputs.lidar[..., :64, :64], tiny_inputs.status))


def test_nothing_lies_beyond_the_map() -> None:
    """Points outside the map read zeros, on the border partly so, both ways of computing (spec 4.4)."""
    torch.manual_seed(0)
    attention = CrossBevAttention(16, 8, 4, 32.0).eval()
    bev = torch.randn(1, 10, 10, 8)
    edge = 32.0 - 3.2
    points = torch.tensor([[[40.0, 0.0], [0.0, -90.0], [1e6, 1e6], [-36.0, 0.0]],
                           [[31.9, 31.9], [-31.9, 31.9], [0.0, 0.0], [edge, -edge]]])[None]  # fmt: skip
    feature = torch.randn(1, 2, 16)
    with torch.inference_mode():
        dense = attention(feature, points, attention.value_map(bev))
        sparse = attention(feature, points, PaddedMap.of(bev))
        torch.testing.assert_close(dense, sparse, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(sparse[:, :1], feature[:, :1] + attention.output_proj.bias, atol=1e-6, rtol=0)
