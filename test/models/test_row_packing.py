"""Convolutions in eight bits per number."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from distilldrive_ros.models.row_packing import SCALE_SUFFIX, packed_rows, unpacked
from distilldrive_ros.models.weight_files import read_state_dict
from distilldrive_ros.scene.errors import CheckpointError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-6, 1e6), st.sampled_from([(3, 2, 3, 3), (1, 1, 1, 1), (4, 5)]))
def test_a_number_is_off_by_half_a_step_of_its_row(seed: int, scale: float, shape: tuple[int, ...]) -> None:
    value = scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    packed = packed_rows("w", value)
    assert packed["w"].dtype == torch.int8
    restored = unpacked({**packed, "other": torch.ones(2)})
    assert set(restored) == {"w", "other"}
    step = value.flatten(1).abs().amax(dim=1) / 127
    off = (restored["w"] - value).flatten(1).abs().amax(dim=1)
    assert bool((off <= 0.5001 * step + 1e-30).all())


def test_a_row_of_zeros_stays_zero() -> None:
    assert unpacked(packed_rows("w", torch.zeros(2, 3, 1, 1)))["w"].eq(0).all()


def test_files_are_restored_when_they_are_read(tmp_path: Path) -> None:
    value = torch.randn(2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    save_file(packed_rows("conv.weight", value), tmp_path / "a.safetensors")
    content = read_state_dict(tmp_path / "a.safetensors")
    assert list(content) == ["conv.weight"]
    torch.testing.assert_close(content["conv.weight"], value, atol=0.02, rtol=0)
    broken = {**packed_rows("conv.weight", value), f"conv.weight{SCALE_SUFFIX}": torch.ones(7)}
    save_file(broken, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        read_state_dict(tmp_path / "b.safetensors")
