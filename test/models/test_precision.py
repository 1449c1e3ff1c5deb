"""Precisions by name: which there are, where they are refused, and that a model takes them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.models.precision import check_precision, full_float32, precision_type
from distilldrive_ros.models.registry import PRECISIONS, ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.scene.errors import ConfigurationError

# Largest difference of a way-point [m] and of a score that bf16 may make on the small networks of these weights.
BOUNDS = {"student_tiny": (0.15, 0.02), "diffusiondrive_tiny": (0.05, 0.02)}


def test_names() -> None:
    assert [precision_type(name) for name in PRECISIONS] == [torch.float32, torch.bfloat16, torch.float16]


def test_float32_is_float32_on_a_gpu_and_settings_come_back() -> None:
    settings = torch.backends.cudnn
    before = (settings.allow_tf32, settings.deterministic, settings.enabled)
    with full_float32(torch.device("cuda:0")):
        assert (settings.allow_tf32, settings.deterministic, settings.enabled) == (False, True, True)
    assert (settings.allow_tf32, settings.deterministic, settings.enabled) == before


def test_half_precision_on_a_processor_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"fp16 is for GPUs.*use bf16 or fp32"):
        check_precision("fp16", "cpu")
    with pytest.raises(ConfigurationError, match="fp16 is for GPUs"):
        load_model("student_tiny", ModelRequest(device="cpu", precision="fp16"))
    with pytest.raises(ConfigurationError, match="fp16 is for GPUs"):
        load_model("diffusiondrive_tiny", ModelRequest(device="cpu", precision="fp16"))


@pytest.mark.parametrize("model", ["student_tiny", "diffusiondrive_tiny"])
def test_unknown_precision(model: str) -> None:
    with pytest.raises(ConfigurationError, match="precision 'int8' is unknown; use one of fp32, bf16, fp16"):
        load_model(model, ModelRequest(device="cpu", precision="int8"))


def test_rules_have_none() -> None:
    with pytest.raises(ConfigurationError, match="leave the precision fp32"):
        load_model("ctra", ModelRequest(precision="bf16"))


@pytest.mark.parametrize("model", BOUNDS)
def test_bf16_stays_within_its_bound(model: str) -> None:
    """Plans of two sets by mode: the first, and one with the history that bf16 left behind."""
    frames = list(itertools.islice(sensor_frames(np.random.default_rng(0)), 2))
    exact, rough = (
        [session.run(frame).candidates for frame in frames]
        for session in (
            ModelSession(load_model(model, ModelRequest(device="cpu", precision=name))) for name in ("fp32", "bf16")
        )
    )
    metres, score = BOUNDS[model]
    for mine, theirs in zip(rough, exact, strict=True):
        common, left, right = np.intersect1d(mine.mode, theirs.mode, return_indices=True)
        assert len(common) >= 0.75 * len(theirs.mode)
        off = np.hypot(mine.x[left] - theirs.x[right], mine.y[left] - theirs.y[right]).max()
        assert 0 < off <= metres
        assert np.abs(mine.score[left] - theirs.score[right]).max() <= score
