"""Augmented pictures show things where their matrices say."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distilldrive_ros.models.distilldrive.preprocess import image_geometry, resize_and_crop
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.pipeline.augmentation import (
    NO_AUGMENTATION,
    AugmentationConfig,
    View,
    apply_view,
    draw_view,
    scene_turn,
    view_geometry,
    view_matrix,
)
from distilldrive_ros.training.pipeline.photometric import distort, scale_saturation, shift_hue

VIEWS = st.builds(
    View,
    resize=st.floats(0.9, 1.3),
    shift=st.floats(0, 1),
    flip=st.booleans(),
    rotation=st.floats(-0.1, 0.1),
)


@given(VIEWS, st.floats(0.2, 0.8), st.floats(0.55, 0.9))
@settings(deadline=None, max_examples=60)
def test_a_spot_goes_where_the_matrix_says(view: View, across: float, down: float) -> None:
    width, height, out_width, out_height = 400, 225, 176, 64
    u, v = across * width, down * height
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    spot = 255 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 5.0**2))
    image = Image.fromarray(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8))
    geometry = view_geometry(width, height, out_width, out_height, view)
    x, y, _, _ = view_matrix(geometry, out_width, out_height, view) @ [u, v, 1, 1]
    seen = np.asarray(apply_view(image, geometry, out_width, out_height, view), np.float64)[..., 0]
    assert seen.shape == (out_height, out_width)
    if 10 < x < out_width - 10 and 10 < y < out_height - 10:
        mass = seen.sum()
        at = (
            (seen.sum(axis=0) * (np.arange(out_width) + 0.5)).sum() / mass,
            (seen.sum(axis=1) * (np.arange(out_height) + 0.5)).sum() / mass,
        )
        assert math.dist(at, (x, y)) < 0.6


def test_without_augmentation_the_view_is_that_of_inference() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (90, 160, 3), np.uint8))
    view = draw_view(NO_AUGMENTATION, rng)
    assert view == View()
    geometry = view_geometry(160, 90, 96, 32, view)
    assert geometry == image_geometry(160, 90, 96, 32)
    assert apply_view(image, geometry, 96, 32, view).tobytes() == resize_and_crop(image, 96, 32).tobytes()


def test_draws_stay_in_their_ranges_and_follow_the_generator() -> None:
    config = AugmentationConfig(scene_rotation_deg=20.0)
    views = [draw_view(config, np.random.default_rng(seed)) for seed in range(400)]
    assert views == [draw_view(config, np.random.default_rng(seed)) for seed in range(400)]
    resize = np.array([v.resize for v in views]) * 0.44
    assert 0.40 <= resize.min() < 0.402
    assert 0.468 < resize.max() <= 0.47
    assert 0.4 < np.mean([v.flip for v in views]) < 0.6
    assert 5.2 < math.degrees(max(v.rotation for v in views)) <= 5.4
    assert -20 <= math.degrees(min(v.yaw for v in views)) < -19
    x, y, _, _ = scene_turn(View(yaw=math.pi / 2)) @ [1.0, 0.0, 0.0, 1.0]
    assert (round(x, 9), round(y, 9)) == (0.0, 1.0)


@pytest.mark.parametrize(("field", "value"), [("resize", (1.2, 0.8)), ("flip", 1.5), ("rotation_deg", 90.0)])
def test_ranges_that_cannot_be_drawn_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=field):
        AugmentationConfig(**{field: value})  # type: ignore[arg-type]


@given(st.tuples(*[st.integers(0, 255)] * 3), st.floats(-18, 18), st.floats(0.5, 1.0))
@settings(deadline=None)
def test_colours_change_as_in_hsv(rgb: tuple[int, int, int], degrees: float, factor: float) -> None:
    pixel = np.array([[rgb]], np.float32)
    hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in rgb))
    turned = np.array(colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value)) * 255
    np.testing.assert_allclose(shift_hue(pixel, degrees)[0, 0], turned, atol=0.02)
    paler = np.array(colorsys.hsv_to_rgb(hue, saturation * factor, value)) * 255
    np.testing.assert_allclose(scale_saturation(pixel, factor)[0, 0], paler, atol=0.02)


def test_distortion_follows_its_generator_and_changes_pictures() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (8, 9, 3)).astype(np.float32)
    before = picture.copy()
    results = [distort(picture, np.random.default_rng(seed)) for seed in range(30)]
    np.testing.assert_array_equal(picture, before)
    for seed, result in enumerate(results):
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, distort(picture, np.random.default_rng(seed)))
    assert sum(np.abs(r - picture).max() > 1 for r in results) > 20
