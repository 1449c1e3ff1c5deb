"""Weight files of the three stages: what loads into what, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.checkpoint import load_checkpoint
from distilldrive_ros.models.diffusiondrive.config import Variant, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.scene.errors import CheckpointError

StateDict = dict[str, Tensor]
SELECTOR = "_trajectory_head.fine_scorer_decoder"


def tiny(variant: Variant, seed: int = 0) -> DiffusionDriveNetwork:
    """The small network as any of the three variants."""
    config = replace(diffusiondrive_tiny(), variant=variant, num_selected=16)
    return untrained_network(config, torch.Generator().manual_seed(seed))


def written(network: DiffusionDriveNetwork, path: Path, prefix: str = "") -> Path:
    torch.save({"state_dict": {prefix + k: v for k, v in network.state_dict().items()}, "epoch": 3}, path)
    return path


def snapshot(network: DiffusionDriveNetwork) -> StateDict:
    return {key: value.clone() for key, value in network.state_dict().items()}


def equal(first: StateDict, second: StateDict) -> bool:
    return all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize("variant", list(Variant))
@pytest.mark.parametrize("prefix", ["", "agent._transfuser_model.", "module.", "_transfuser_model."])
def test_file_of_the_same_stage(tmp_path: Path, variant: Variant, prefix: str) -> None:
    """Bare names and Lightning's; v1's official file has no suffix."""
    source, network = tiny(variant, 1), tiny(variant)
    report = load_checkpoint(network, written(source, tmp_path / "diffusiondrive_navsim_88p1_PDMS", prefix))
    assert equal(network.state_dict(), source.state_dict())
    assert report.complete and report.stage is variant and report.loaded == len(source.state_dict())
    assert report.ignored == () and report.unexpected == () and len(report.digest) == 12


def test_safetensors(tmp_path: Path) -> None:
    source, network = tiny(Variant.SELECTOR, 1), tiny(Variant.SELECTOR)
    path = tmp_path / "sel.safetensors"
    save_file({key: value.contiguous() for key, value in source.state_dict().items()}, path)
    load_checkpoint(network, path)
    assert equal(network.state_dict(), source.state_dict())


def test_selector_file_serves_the_policy(tmp_path: Path) -> None:
    source, network = tiny(Variant.SELECTOR, 1), tiny(Variant.POLICY)
    report = load_checkpoint(network, written(source, tmp_path / "sel.ckpt"))
    assert report.complete and SELECTOR in report.ignored and report.unexpected == ()
    assert equal(network.state_dict(), source.state_dict())


REFUSED = [
    (Variant.POLICY, Variant.SELECTOR, SELECTOR),
    (Variant.V1, Variant.SELECTOR, SELECTOR),
    (Variant.V1, Variant.SELECTOR, "_trajectory_head.diff_decoder"),
    (Variant.V1, Variant.POLICY, "_trajectory_head.diff_decoder"),
    (Variant.SELECTOR, Variant.V1, "_trajectory_head.diff_decoder"),
]


@pytest.mark.parametrize(("given", "wanted", "module"), REFUSED)
def test_file_of_another_stage(tmp_path: Path, given: Variant, wanted: Variant, module: str) -> None:
    """Refused with the names of the modules that would stay untrained; loaded only on request."""
    source, network = tiny(given, 1), tiny(wanted)
    path = written(source, tmp_path / "other.ckpt", "agent._transfuser_model.")
    before = snapshot(network)
    with pytest.raises(CheckpointError, match=f"stage {given.value}.*leaves untrained.*{module}.*partial"):
        load_checkpoint(network, path)
    assert equal(network.state_dict(), before)
    report = load_checkpoint(network, path, partial=True)
    assert not report.complete and module in report.untrained and "UNTRAINED" in report.summary()
    key = "_backbone.image_encoder.conv1.weight"
    assert torch.equal(network.state_dict()[key], source.state_dict()[key])


def test_half_a_file(tmp_path: Path) -> None:
    """Modules that every stage has must be there, even for a partial load."""
    entries = {k: v for k, v in tiny(Variant.SELECTOR).state_dict().items() if not k.startswith("_tf_decoder")}
    torch.save(entries, tmp_path / "half.ckpt")
    with pytest.raises(CheckpointError, match=r"does not fit.*_tf_decoder"):
        load_checkpoint(tiny(Variant.SELECTOR), tmp_path / "half.ckpt", partial=True)


def test_other_network_and_other_size(tmp_path: Path) -> None:
    network = tiny(Variant.SELECTOR)
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "linear.pth")
    with pytest.raises(CheckpointError, match=r"another network.*bias"):
        load_checkpoint(network, tmp_path / "linear.pth")
    torch.save({**network.state_dict(), "_query_embedding.weight": torch.zeros(31, 256)}, tmp_path / "big.pth")
    with pytest.raises(CheckpointError, match=r"_query_embedding.weight \(31, 256\) instead of \(31, 128\)"):
        load_checkpoint(network, tmp_path / "big.pth")


def test_unexpected_entries_are_reported(tmp_path: Path) -> None:
    network = tiny(Variant.POLICY)
    torch.save({**network.state_dict(), "ema.decay": torch.ones(1)}, tmp_path / "ema.ckpt")
    assert load_checkpoint(network, tmp_path / "ema.ckpt").unexpected == ("ema.decay",)


def test_pointer_of_git_lfs(tmp_path: Path) -> None:
    """What users got who cloned without LFS: "invalid load key 'v'"."""
    path = tmp_path / "diffusiondrive_navsim_88p1_PDMS"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 243\n")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        load_checkpoint(tiny(Variant.V1), path)
