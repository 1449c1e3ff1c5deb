"""Out of memory: one error of ours, at the border of the session too; everything else passes through."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.models.device_memory import with_memory_guard
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.scene.errors import DeviceMemoryError


def test_more_than_any_machine_has() -> None:
    """A real failure of the allocator: four exabytes."""
    with pytest.raises(DeviceMemoryError, match=r"m@x found no memory on cpu \(.*can't allocate memory.*smaller model"):
        with_memory_guard(lambda: torch.empty(1 << 60, dtype=torch.float32), "m@x", "cpu")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="must match"):
        with_memory_guard(lambda: torch.zeros(2) + torch.zeros(3), "m@x", "cpu")
    assert with_memory_guard(lambda: 7, "m@x", "cpu") == 7


def test_session_goes_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step in the middle finds no memory: it is counted and the history dropped; the next set has a plan again."""
    session = ModelSession(load_model("diffusiondrive_tiny", ModelRequest(device="cpu")))
    first, second, third = itertools.islice(sensor_frames(np.random.default_rng(0)), 3)
    session.run(first)

    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as patch:
        patch.setattr(DiffusionDriveNetwork, "encode_scene", full)
        with pytest.raises(DeviceMemoryError, match="diffusiondrive_tiny@untrained found no memory"):
            session.run(second)
    assert (session.failed_frames, session.state_resets) == (1, 1)
    assert np.isfinite(session.run(third).candidates.x).all()
