"""Every optimisation alone and all together against the plain path, on the small student; golden: test_golden."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.aggregation import DeformableAggregation
from distilldrive_ros.models.distilldrive.engine import PLAIN, EngineOptions, StudentEngine
from distilldrive_ros.models.distilldrive.factored_aggregation import FactoredAggregation
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentOutputs
from distilldrive_ros.scene.errors import ConfigurationError

from .conftest import InputsFactory

ONE_BY_ONE = {
    "fold_batch_norm": replace(PLAIN, fold_batch_norm=True),
    "channels_last": replace(PLAIN, channels_last=True),
    "compiled_aggregation": replace(PLAIN, compiled_aggregation=True),
    "factored_weights": replace(PLAIN, factored_weights=True),
    "constant_queries": replace(PLAIN, constant_queries=True),
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


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 2e-2), ("fp16", 3e-3)])
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
    StudentEngine(tiny_network, EngineOptions(precision="bf16"))
    after = {name: (value.dtype, value.stride(), value.sum()) for name, value in tiny_network.state_dict().items()}
    assert before == after


def test_wrong_images_are_refused(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    with pytest.raises(ValueError, match="images has the shape"):
        StudentEngine(tiny_network).extract_features(tiny_inputs(0).images[:, :, :, :-1])


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="precision 'int8' is unknown"):
        EngineOptions(precision="int8")


def test_wrong_inputs_are_named(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    engine, inputs = StudentEngine(tiny_network), tiny_inputs(0)
    levels = engine.extract_features(inputs.images)
    for name, wrong, message in (
        ("projection", inputs.projection[:, :5], r"projection has the shape \(1, 5, 4, 4\), expected \(1, 6, 4, 4\)"),
        ("projection", inputs.projection.double(), r"projection is torch.float64, expected torch.float32"),
        ("image_size", inputs.image_size.to("meta"), r"image_size is on meta, expected cpu as the network"),
        ("timestamp", inputs.timestamp.float(), r"timestamp is torch.float32, expected torch.float64"),
    ):
        with pytest.raises(ValueError, match=message):
            engine.decode_features(None, levels, replace(inputs, **{name: wrong}))
    with pytest.raises(ValueError, match=r"images is torch\.float16"):
        engine.extract_features(inputs.images.half())


def test_wrong_state_is_named(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    engine, inputs = StudentEngine(tiny_network), tiny_inputs(0)
    with torch.inference_mode():
        levels = engine.extract_features(inputs.images)
        state, _ = engine.decode_features(None, levels, inputs)
        for wrong, message in (
            (replace(state, map=replace(state.map, anchor=state.map.anchor[:, 1:])), r"state.map.anchor has the shape"),
            (replace(state, queue=replace(state.queue, ids=state.queue.ids.int())), r"state.queue.ids is torch.int32"),
            (state.to("meta"), r"state.timestamp is on meta"),
        ):
            with pytest.raises(ValueError, match=message):
                engine.decode_features(wrong, levels, tiny_inputs(1))


def test_factored_weights_of_far_peaks(tiny_network: StudentNetwork, tiny_inputs: InputsFactory) -> None:
    """Where the two factors vanish between their peaks, the plain softmax takes over."""
    network = copy.deepcopy(tiny_network)
    layer = next(m for m in network.modules() if isinstance(m, DeformableAggregation))
    factored = FactoredAggregation(layer)
    inputs = tiny_inputs(0)
    feature = torch.randn(1, 3, network.config.embed_dim)
    with torch.inference_mode():
        near = [m._weights(feature, inputs.projection) for m in (layer, factored)]
        again = factored._weights(feature, inputs.projection)
        # Logits of the instance and of the cameras that peak far apart: +-1000 in turns along the points.
        signs = 1000.0 * (1 - 2 * (torch.arange(len(layer.weights_fc.bias)) // network.config.num_groups % 2))
        layer.weights_fc.weight.zero_()
        layer.weights_fc.weight[:, 0] = signs
        layer.weights_fc.bias.copy_(-3 * signs)
        layer.camera_encoder[-1].weight.zero_()
        layer.camera_encoder[-1].bias.fill_(1.0)
        feature[..., 0] = 1.0
        far = [m._weights(feature, inputs.projection) for m in (layer, FactoredAggregation(layer))]
    for mine, theirs in (near, far):
        torch.testing.assert_close(mine, theirs, atol=1e-7, rtol=1e-5)
    assert torch.equal(again, near[1])
    assert float(far[1].sum()) == pytest.approx(3 * network.config.num_groups)


def test_weights_stay_shared_with_the_network(tiny_network: StudentNetwork) -> None:
    own = StudentEngine(tiny_network).network
    theirs = dict(tiny_network.named_parameters())
    shared = [name for name, tensor in own.named_parameters() if theirs.get(name) is tensor]
    missing = set(theirs) - set(shared)
    assert missing and all("plan_anchor_encoder" in name or "plan_instance_encoder" in name for name in missing)
