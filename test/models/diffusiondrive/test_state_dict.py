"""Names, shapes and types of all parameters against the table of the official networks."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork

from .conftest import OFFICIAL

COUNTS = {"v1": (763, 60.716), "rl": (721, 58.602), "sel": (971, 93.189)}


@pytest.mark.parametrize("variant", OFFICIAL)
def test_names_shapes_and_types(rules: ModuleType, golden_dir: Path, variant: str) -> None:
    with torch.device("meta"):
        network = DiffusionDriveNetwork(OFFICIAL[variant]())
    table = rules.read_table(golden_dir / "statedict.txt", variant)
    ours = {
        name: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in network.state_dict().items()
    }
    assert ours == {name: (tuple(shape), dtype) for name, (shape, dtype) in table.items()}
    count, millions = COUNTS[variant]
    assert len(ours) == count
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=6e-4)


@pytest.mark.parametrize("variant", OFFICIAL)
def test_weight_rule(rules: ModuleType, golden_dir: Path, reference_weights: dict[str, Tensor], variant: str) -> None:
    """The weights that the other tests use are the recorded ones."""
    checksum = 0
    for name in rules.read_table(golden_dir / "statedict.txt", variant):
        checksum = zlib.crc32(reference_weights[name].numpy().tobytes(), checksum)
    expected = json.loads((golden_dir / "weights_check.json").read_text())["crc32"][variant]["crc32"]
    assert f"{checksum:08x}" == expected
