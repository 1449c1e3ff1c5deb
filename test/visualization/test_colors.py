"""Colours keep their order and stay apart for people with red-green blindness."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.visualization.colors import (
    CLASS_GROUPS,
    GROUND_TRUTH,
    INVALID,
    ScoreScale,
    class_color,
    css,
    score_color,
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def lab(color: tuple[int, int, int], seen_as: np.ndarray | None = None) -> np.ndarray:
    """CIE L*a*b* of an sRGB colour."""
    c = np.asarray(color) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    if seen_as is not None:
        linear = np.clip(seen_as @ linear, 0, 1)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("seen_as", [None, DEUTERANOPIA, PROTANOPIA], ids=["full", "deuteranopia", "protanopia"])
def test_score_colours_grow_lighter_for_every_eye(seen_as: np.ndarray | None) -> None:
    lightness = [lab(score_color(f), seen_as)[0] for f in np.linspace(0, 1, 21)]
    assert np.diff(lightness).min() > 0.5
    assert lightness[-1] - lightness[0] > 35


@pytest.mark.parametrize("seen_as", [None, DEUTERANOPIA, PROTANOPIA], ids=["full", "deuteranopia", "protanopia"])
def test_class_groups_and_ground_truth_stay_apart(seen_as: np.ndarray | None) -> None:
    colors = {**{name: color for name, (color, _) in CLASS_GROUPS.items()}, "truth": GROUND_TRUTH}
    for (a, first), (b, second) in itertools.combinations(colors.items(), 2):
        assert np.linalg.norm(lab(first, seen_as) - lab(second, seen_as)) > 12, (a, b)


def test_every_class_of_the_networks_has_its_group() -> None:
    grouped = [name for _, names in CLASS_GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(CLASS_NAMES)
    assert class_color("spaceship") == class_color("barrier")


def test_scale_spans_the_finite_scores() -> None:
    scale = ScoreScale.of_scores([0.2, math.nan, 0.4, math.inf])
    assert (scale.low, scale.high) == (0.2, 0.4)
    assert scale.fraction(0.2) == 0 and scale.fraction(0.4) == 1
    assert scale.fraction(0.3) == pytest.approx(0.5)
    assert scale.fraction(9.0) == 1
    assert scale.color(0.4) == score_color(1.0)
    assert scale.color(math.nan) == INVALID


def test_equal_scores_and_no_scores() -> None:
    assert ScoreScale.of_scores([0.17] * 6).fraction(0.17) == 1.0
    assert ScoreScale.of_scores([math.nan]) == ScoreScale(0.0, 1.0)


def test_css() -> None:
    assert css((0, 140, 255)) == "#008cff"
