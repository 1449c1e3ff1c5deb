"""Batches: streams side by side, moved as a whole."""

from __future__ import annotations

import pytest
import torch

from distilldrive_ros.training.batch import join, without_cameras

from .conftest import BatchFactory


def test_join_puts_streams_side_by_side(make_batch: BatchFactory) -> None:
    first, second = make_batch(0, streams=2, images=True), make_batch(1, streams=1, images=True)
    both = join([first, second])
    assert both.size == 3
    assert both.tokens == first.tokens + second.tokens
    assert both.agents == first.agents + second.agents
    assert both.restart.tolist() == [True, True, False]
    assert both.cameras is not None and first.cameras is not None and second.cameras is not None
    for level, a, b in zip(both.cameras.depth, first.cameras.depth, second.cameras.depth, strict=True):
        assert torch.equal(level, torch.cat((a, b)))
    inputs = both.student_inputs()
    assert torch.equal(inputs.images[2:], second.cameras.images)
    assert inputs.timestamp.dtype == inputs.world_from_lidar.dtype == torch.float64


def test_join_refuses_nothing_and_half_of_the_cameras(make_batch: BatchFactory) -> None:
    with pytest.raises(ValueError, match="no batch"):
        join([])
    batch = make_batch(0, images=True)
    with pytest.raises(ValueError, match="1 of 2 batches"):
        join([batch, without_cameras(batch)])


def test_a_batch_without_cameras_has_no_student_inputs(make_batch: BatchFactory) -> None:
    with pytest.raises(ValueError, match="no camera images"):
        make_batch(0).student_inputs()


def test_every_tensor_moves(make_batch: BatchFactory) -> None:
    moved = make_batch(0, images=True).to("meta")
    assert moved.device.type == "meta"
    assert moved.tokens[0] == "stream0-frame0"
    assert moved.cameras is not None
    tensors = (moved.cameras.depth[2], moved.agents[1].boxes, moved.maps[0].orderings, moved.ego.status)
    assert all(tensor.is_meta for tensor in tensors)
