"""Configuration: presets, and refusal of wrong values by name, range and remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from distilldrive_ros.models.distilldrive.config import (
    PRESETS,
    DetectionConfig,
    DistillDriveConfig,
    MapConfig,
    MotionConfig,
    preset,
    student,
)
from distilldrive_ros.scene.errors import ConfigurationError


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_preset_carries_its_name(name: str) -> None:
    assert preset(name).name == name


def test_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'huge'.*student, student_tiny"):
        preset("huge")


@pytest.mark.parametrize(
    ("build", "pattern"),
    [
        (lambda: DetectionConfig(num_anchors=1), r"num_anchors is 1, outside \[2, 10000\]"),
        (
            lambda: DetectionConfig(num_anchors=100, num_temporal=100, num_output=50),
            r"num_temporal is 100, outside \[1, 99\]",
        ),
        (lambda: DetectionConfig(confidence_decay=1.5), r"confidence_decay is 1.5, outside \[0.0, 1.0\]"),
        (lambda: MapConfig(num_output=301), r"num_output is 301, outside \[1, 300\]"),
        (lambda: MotionConfig(agent_steps=3), r"agent_steps is 3, outside \[6, 100\]"),
        (lambda: MotionConfig(queue_length=0), r"queue_length is 0"),
        (lambda: DistillDriveConfig(image_width=700), "multiples of 32"),
        (lambda: DistillDriveConfig(cameras=("A", "A")), "distinct"),
        (lambda: DistillDriveConfig(backbone="vgg"), "backbone must be resnet18"),
        (lambda: DistillDriveConfig(num_heads=7), "multiple of num_heads"),
        (lambda: replace(student(), motion=MotionConfig(num_agent_keys=901)), "num_agent_keys must not exceed"),
        (lambda: DistillDriveConfig(max_time_gap=float("nan")), "max_time_gap is nan"),
    ],
)
def test_wrong_value_is_refused_with_a_remedy(build: Callable[[], object], pattern: str) -> None:
    with pytest.raises(ConfigurationError, match=pattern) as caught:
        build()
    assert "preset" in str(caught.value)
