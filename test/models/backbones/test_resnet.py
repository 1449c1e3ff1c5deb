"""Residual networks: sizes and names of the published ones."""

from __future__ import annotations

import pytest
import torch

from distilldrive_ros.models.backbones.resnet import build_resnet

CLASSIFIER = {"resnet18": 513_000, "resnet34": 513_000, "resnet50": 2_049_000}
PUBLISHED_PARAMETERS = {"resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032}
"""Of the ImageNet models in torchvision, classifier included."""


@pytest.mark.parametrize("name", sorted(PUBLISHED_PARAMETERS))
def test_parameter_count_is_the_published_one(name: str) -> None:
    with torch.device("meta"):
        network = build_resnet(name)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == PUBLISHED_PARAMETERS[name] - CLASSIFIER[name]


@pytest.mark.parametrize(("name", "width"), [("resnet18", 8), ("resnet34", 4), ("resnet50", 4)])
def test_four_stages_with_halving_resolution(name: str, width: int) -> None:
    network = build_resnet(name, width).eval()
    with torch.inference_mode():
        stages = network(torch.zeros(2, 3, 64, 96))
    assert [tuple(stage.shape[1:]) for stage in stages] == [
        (channels, 64 // stride, 96 // stride)
        for channels, stride in zip(network.out_channels, (4, 8, 16, 32), strict=True)
    ]


def test_names_of_the_state_dict() -> None:
    names = set(build_resnet("resnet18", 4).state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer4.1.bn2.bias"} <= names
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.weight"} <= names
    assert not any(name.startswith(("layer1.0.downsample", "fc.")) for name in names)


def test_initialization_follows_its_generator() -> None:
    first, second, third = (build_resnet("resnet18", 4) for _ in range(3))
    for network, seed in ((first, 1), (second, 1), (third, 2)):
        network.initialize(torch.Generator().manual_seed(seed))
    assert torch.equal(first.conv1.weight, second.conv1.weight)
    assert not torch.equal(first.conv1.weight, third.conv1.weight)


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="resnet18"):
        build_resnet("resnet51")
