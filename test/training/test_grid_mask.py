"""Holes in the training images."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.training.grid_mask import grid_mask, mask_images


@given(st.integers(4, 60), st.integers(4, 60), st.integers(0, 10_000))
def test_stripes_in_rows_and_columns(height: int, width: int, seed: int) -> None:
    """A pixel is kept when its row or its column lies on a stripe, and about three quarters are."""
    mask = grid_mask(height, width, torch.Generator().manual_seed(seed))
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    rows, columns = mask.amin(dim=1).bool(), mask.amin(dim=0).bool()
    assert torch.equal(mask.bool(), rows[:, None] | columns[None]) or bool(mask.all())


def test_a_share_of_the_batches_gets_one_mask_for_all() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.ones(2, 3, 3, 32, 64)
    masked = 0
    for _ in range(300):
        seen = mask_images(images, 0.7, generator)
        assert torch.equal(seen, seen[:1, :1, :1].expand_as(seen))
        masked += int(seen is not images)
    assert 180 <= masked <= 240
    assert mask_images(images, 0.0, generator) is images
