"""The folded backbone against the one it was made from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distilldrive_ros.models.backbones.folded import FoldedResNet, fold_batch_norm
from distilldrive_ros.models.backbones.resnet import RESNETS, ResNet, build_resnet


def trained_looking(name: str) -> ResNet:
    """Norms with statistics and factors as after training, some of them negative."""
    generator = torch.Generator().manual_seed(0)
    network = build_resnet(name, width=8)
    network.initialize(generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 0.4, 0.5, generator=generator)
            nn.init.normal_(module.bias, 0.0, 0.2, generator=generator)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0.0, 0.5, generator=generator)
            module.running_var.uniform_(0.05, 2.0, generator=generator)
    return network.eval()


@pytest.mark.parametrize("name", sorted(RESNETS))
def test_all_stages_agree(name: str) -> None:
    network = trained_looking(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        folded = FoldedResNet(network)
        for layout in (torch.contiguous_format, torch.channels_last):
            found = folded(images.to(memory_format=layout))
            for mine, theirs in zip(found, network(images), strict=True):
                assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_nothing_but_convolutions_is_left() -> None:
    folded = FoldedResNet(trained_looking("resnet18"))
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_a_dead_channel_folds() -> None:
    """Variance 0, as a channel that never fires has after training."""
    convolution, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1).eval()
    assert norm.running_var is not None
    norm.running_var.zero_()
    x = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(fold_batch_norm(convolution, norm)(x), norm(convolution(x)), rtol=1e-4)
