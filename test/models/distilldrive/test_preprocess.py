"""Image path: to the bit against PIL and float32 arithmetic; matrices; refusal of what is no image."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.models.distilldrive.preprocess import (
    MEAN,
    STD,
    image_geometry,
    prepare_images,
    projection_matrix,
    resize_and_crop,
)
from distilldrive_ros.scene.errors import SensorDataError

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def picture(width: int, height: int, seed: int = 0) -> Pixels:
    """Smooth colours with some noise, RGB."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (9, 16, 3), np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    return np.clip(smooth + random.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)


def encoded(pixels: Pixels, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_bit_exact_with_pil_at_nuscenes_size(executor: ThreadPoolExecutor) -> None:
    """Spec 2.3: decode, bicubic to 704x396, rows 140 to 396, then (x - mean) / std in float32."""
    stream = encoded(picture(1600, 900), "JPEG")
    tensor, sizes = prepare_images([stream], 704, 256, executor)
    resized = Image.open(io.BytesIO(stream)).convert("RGB").resize((704, 396), Image.Resampling.BICUBIC)
    cropped = np.asarray(resized)[140:396].astype(np.float32)
    expected = (cropped - np.float32(MEAN)) / np.float32(STD)
    assert np.array_equal(tensor[0].numpy(), expected.transpose(2, 0, 1))
    assert sizes == [(1600, 900)]


def test_all_ways_in_give_the_same_tensor(executor: ThreadPoolExecutor) -> None:
    pixels = picture(160, 90)
    png = encoded(pixels, "PNG")
    tensor, _ = prepare_images([png, np.frombuffer(png, np.uint8), pixels], 64, 32, executor)
    assert torch.equal(tensor[0], tensor[1])
    assert torch.equal(tensor[0], tensor[2])


def test_order_of_cameras_is_kept(executor: ThreadPoolExecutor) -> None:
    colours = [np.full((36, 64, 3), 40 * i, np.uint8) for i in range(6)]
    tensor, _ = prepare_images(list(colours), 64, 32, executor)
    red = (torch.arange(6) * 40 - MEAN[0]) / STD[0]
    assert torch.allclose(tensor[:, 0, 0, 0], red)


def test_absent_camera_gets_the_mean_colour(executor: ThreadPoolExecutor) -> None:
    tensor, sizes = prepare_images([None, picture(64, 36)], 64, 32, executor)
    assert not tensor[0].any()
    assert tensor[1].any()
    assert sizes == [(0, 0), (64, 36)]


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 3000), st.integers(8, 3000), st.sampled_from([(704, 256), (352, 128), (64, 64)]))
def test_crop_lies_inside_the_resized_image(width: int, height: int, size: tuple[int, int]) -> None:
    geometry = image_geometry(width, height, *size)
    assert 0 <= geometry.left <= geometry.resized_width - size[0]
    assert geometry.top == geometry.resized_height - size[1] >= 0
    assert geometry.resized_width == size[0] or geometry.resized_height == size[1]


def test_matrix_follows_the_pixels() -> None:
    """A bright spot must appear where the matrix says."""
    pixels = np.zeros((450, 640, 3), np.uint8)
    pixels[300:310, 200:210] = 255
    view = np.asarray(resize_and_crop(Image.fromarray(pixels), 352, 128)).sum(axis=-1).astype(float)
    rows, columns = np.indices(view.shape)
    centre = np.array([(columns * view).sum(), (rows * view).sum()]) / view.sum()
    predicted = image_geometry(640, 450, 352, 128).matrix() @ [204.5 + 0.5, 304.5 + 0.5, 1, 1]
    assert np.allclose(centre + 0.5, predicted[:2], atol=0.1)


def test_projection_matrix_at_nuscenes_size() -> None:
    """A4 K4 T with the numbers of the specification."""
    intrinsics = np.array([[1266.4, 0, 816.3], [0, 1266.4, 491.5], [0, 0, 1]])
    camera_from_lidar = np.eye(4)
    camera_from_lidar[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    camera_from_lidar[:3, 3] = [0, -0.3, -0.6]
    matrix = projection_matrix(image_geometry(1600, 900, 704, 256), intrinsics, camera_from_lidar)
    point = np.array([2.0, 20.0, -1.0, 1.0])
    x, y, depth = (camera_from_lidar @ point)[:3]
    u, v = 1266.4 * x / depth + 816.3, 1266.4 * y / depth + 491.5
    projected = matrix @ point
    assert projected[2] == pytest.approx(depth)
    assert projected[:2] / depth == pytest.approx([0.44 * u, 0.44 * v - 140])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        encoded(picture(64, 36), "JPEG")[:200],
        encoded(picture(64, 36), "PNG")[:300],
        encoded(picture(64, 36), "GIF"),
        np.zeros((36, 64, 4), np.uint8),
        np.zeros((36, 64, 3), np.float32),
        np.zeros((4, 64, 3), np.uint8),
    ],
    ids=["empty", "text", "cut jpeg", "cut png", "gif", "four channels", "float", "too small"],
)
def test_what_is_no_image_is_refused(data: bytes | Pixels, executor: ThreadPoolExecutor) -> None:
    with pytest.raises(SensorDataError):
        prepare_images([data], 64, 32, executor)
    tensor, _ = prepare_images([picture(64, 36)], 64, 32, executor)
    assert tensor.isfinite().all()
