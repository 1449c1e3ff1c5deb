"""Every optimisation alone and all together against the plain path, on the small student; golden: test_golden."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.engine import PLAIN, EngineOptions, StudentEngine
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentOutputs
from distilldrive_ros.scene.errors import ConfigurationError

from .conftest import InputsFactory

ONE_BY_ONE = {
    "fold_batch_norm": replace(PLAIN, fold_batch_norm=True),
    "channels_last": replace(PLAIN, channels_last=True),
    "compiled_aggregation": replace(PLAIN, compiled_aggregation=True),
    "all": EngineOptions(),
}


def results(outputs: StudentOutputs) -> tuple[Tensor, ...]:
    motion = outputs.motion
    return (outputs.detection.logits[0], outputs.map.anchors[0], motion.plan_logits, motion.plan_offsets, motion.status)


def two_frames(engine: StudentEngine, make_inputs: InputsFactory) -> list[tuple[Tensor, ...]]:
    state = None
    found = []
    with torch.inference_mode():
        for t in range(2):
            inputs = make_inputs(t)
            state, outputs = engine.decode_features(state, engine.extract_features(inputs.images), inputs)
            found.append(results(outputs))
    return found


@pytest.fixture(scope="module")
def plain(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> list[tuple[Tensor, ...]]:
    return two_frames(StudentEngine(tiny_network, PLAIN), tiny_inputs)


def test_plain_path_is_the_network(
    tiny_network: StudentNetwork, tiny_inputs: InputsFactory, plain: list[tuple[Tensor, ...]]
) -> None:
    with torch.inference_mode():
        _, outputs = tiny_network(None, tiny_inputs(0))
    for mine, theirs in zip(plain[0], results(outputs), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_every_optimisation_keeps_the_result(
    name: str, tiny_network: StudentNetwork, tiny_inputs: InputsFactory, plain: list[tuple[Tensor, ...]]
) -> None:
    found = two_frames(StudentEngine(tiny_network, ONE_BY_ONE[name]), tiny_inputs)
    for mine, theirs in zip(found[0], plain[0], strict=True):
        assert (mine - theirs).abs().max() <= 1e-4 * (1 + theirs.abs().max())
    # With a history, instances of nearly equal score may have swapped rows: the plan, which looks at all of them.
    for mine, theirs in zip(found[1][2:], plain[1][2:], strict=True):
        assert (mine - theirs).abs().max() <= 1e-2 * (1 + theirs.abs().max())


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 2e-2), ("float16", 3e-3)])
def test_lower_precision_of_the_image_network(
    precision: str, tolerance: float, tiny_network: StudentNetwork, tiny_inputs: InputsFactory
) -> None:
    """Its features are float32 again, and off by what the mantissa allows."""
    images = tiny_inputs(0).images
    with torch.inference_mode():
        exact = StudentEngine(tiny_network).extract_features(images)
        rough = StudentEngine(tiny_network, EngineOptions(precision=precision)).extract_features(images)
    for mine, theirs in zip(rough, exact, strict=True):
        assert mine.dtype == torch.float32
        error = (mine - theirs).norm() / theirs.norm()
        assert 0 < error <= tolerance


def test_engine_leaves_the_network_as_it_is(tiny_network: StudentNetwork) -> None:
    before = {name: (value.dtype, value.stride(), value.sum()) for name, value in tiny_network.state_dict().items()}
    StudentEngine(tiny_network, EngineOptions(precision="bfloat16"))
    after = {name: (value.dtype, value.stride(), value.sum()) for name, value in tiny_network.state_dict().items()}
    assert before == after


def test_wrong_images_are_refused(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    with pytest.raises(ValueError, match="images are"):
        StudentEngine(tiny_network).extract_features(tiny_inputs(0).images[:, :, :, :-1])


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="precision 'int8' is unknown"):
        EngineOptions(precision="int8")
