"""Devices by name."""

from __future__ import annotations

import pytest

from distilldrive_ros.models.devices import resolve_device
from distilldrive_ros.scene.errors import ConfigurationError


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:999", ""])
def test_device_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigurationError, match="use auto"):
        resolve_device(name)


def test_devices() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda:0")
