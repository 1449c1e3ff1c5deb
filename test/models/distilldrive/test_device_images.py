"""The image path of a GPU against PIL's, run on the CPU, where it is the same code."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.models.distilldrive.device_images import DeviceImages, resized
from distilldrive_ros.models.distilldrive.preprocess import STD, prepare_images, resize_and_crop
from distilldrive_ros.scene.errors import SensorDataError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 220), st.integers(30, 160), st.integers(32, 96), st.integers(32, 64), st.integers(0, 99))
def test_resize_is_that_of_pil_to_one_count(
    width: int, height: int, out_width: int, out_height: int, seed: int
) -> None:
    """Noise is the hardest: every weight counts. Enlarging overshoots, which makes two counts."""
    assume(height <= width)
    pixels = noise(width, height, seed)
    expected = np.asarray(resize_and_crop(Image.fromarray(pixels), out_width, out_height)).astype(np.int64)
    found = resized(torch.from_numpy(pixels)[None], out_width, out_height)[0].permute(1, 2, 0).numpy()
    assert (found == np.rint(found)).all()
    off = np.abs(found.astype(np.int64) - expected)
    enlarged = out_width > width or out_height > height
    assert off.max() <= (2 if enlarged else 1) and (off > 0).mean() < 0.01


def test_size_of_the_network_is_left_alone() -> None:
    pixels = noise(64, 32)
    assert np.array_equal(resized(torch.from_numpy(pixels)[None], 64, 32)[0].permute(1, 2, 0).numpy(), pixels)


def test_a_set_of_streams_arrays_and_gaps(executor: ThreadPoolExecutor) -> None:
    """Several sizes, a lossless and a lossy stream, raw pixels, and a camera without an image."""
    streams = []
    for kind, pixels in (("PNG", noise(90, 60)), ("JPEG", noise(64, 48, 1))):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind)
        streams.append(np.frombuffer(buffer.getvalue(), np.uint8))
    images = [streams[0], None, noise(90, 60, 2), streams[1].tobytes()]
    expected, sizes = prepare_images(images, 48, 32, executor)
    found, found_sizes = DeviceImages(CPU)(images, 48, 32, executor)
    assert found_sizes == sizes == [(90, 60), (0, 0), (90, 60), (64, 48)]
    assert found.dtype == torch.float32 and not found[1].any()
    counts = (found - expected) * torch.tensor(STD)[:, None, None]
    assert counts.abs().max() < 1.001 and (counts.abs() > 0.5).float().mean() < 0.01


def test_damaged_images_are_refused(executor: ThreadPoolExecutor) -> None:
    with pytest.raises(SensorDataError, match="cannot be decoded"):
        DeviceImages(CPU)([noise(64, 48), b"\xff\xd8 no image"], 48, 32, executor)
    with pytest.raises(SensorDataError, match="4x400 pixels"):
        DeviceImages(CPU)([noise(4, 400)], 48, 32, executor)
