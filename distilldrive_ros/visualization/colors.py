"""Colours of pictures and markers: one meaning, one colour, in the report, in the overlays and in RViz.

Scores run from deep violet over magenta to amber with steadily rising lightness, so the order survives red-green
blindness and a grey print; classes and ground truth stay outside that run of hues (after Okabe and Ito's palette).
Colours are (red, green, blue) in 0..255.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.vector_map import PolylineKind

Color = tuple[int, int, int]

_SCORE_STOPS: tuple[Color, ...] = ((58, 34, 130), (130, 44, 160), (200, 66, 126), (234, 110, 70), (253, 176, 46))

INVALID: Color = (150, 150, 150)
GROUND_TRUTH: Color = (0, 140, 90)
EGO: Color = (45, 45, 52)

_VEHICLE: Color = (0, 105, 180)
_HEAVY_VEHICLE: Color = (80, 170, 225)
_TWO_WHEELER: Color = (95, 60, 25)
_PEDESTRIAN: Color = (190, 20, 60)
_OBSTACLE: Color = (110, 110, 118)

# What a legend shows: one colour and name per group of classes.
CLASS_GROUPS: dict[str, tuple[Color, tuple[str, ...]]] = {
    "car": (_VEHICLE, ("car",)),
    "heavy vehicle": (_HEAVY_VEHICLE, ("truck", "construction_vehicle", "bus", "trailer")),
    "two-wheeler": (_TWO_WHEELER, ("motorcycle", "bicycle")),
    "pedestrian": (_PEDESTRIAN, ("pedestrian",)),
    "barrier, cone": (_OBSTACLE, ("barrier", "traffic_cone")),
}

_CLASS_COLORS = {name: color for color, names in CLASS_GROUPS.values() for name in names}

MAP_COLORS: dict[PolylineKind, Color] = {
    PolylineKind.CROSSING: (60, 150, 160),
    PolylineKind.DIVIDER: (160, 140, 60),
    PolylineKind.BOUNDARY: (90, 90, 98),
    PolylineKind.CENTERLINE: (150, 170, 190),
    PolylineKind.DRIVABLE_AREA: (120, 120, 128),
    PolylineKind.LANE: (175, 180, 190),
    PolylineKind.ROUTE_LANE: (110, 165, 120),
    PolylineKind.INTERSECTION: (190, 150, 110),
}


def class_color(class_id: str) -> Color:
    """Colour of an object's class; unknown classes look like obstacles."""
    return _CLASS_COLORS.get(class_id, _OBSTACLE)


def score_color(fraction: float) -> Color:
    """Colour of a place on the score scale, 0 (worst) to 1 (best); values outside are clamped, NaN is `INVALID`."""
    if math.isnan(fraction):
        return INVALID
    place = min(1.0, max(0.0, fraction)) * (len(_SCORE_STOPS) - 1)
    index = min(int(place), len(_SCORE_STOPS) - 2)
    lower, upper = np.asarray(_SCORE_STOPS[index]), np.asarray(_SCORE_STOPS[index + 1])
    mixed = lower * (index + 1 - place) + upper * (place - index)
    red, green, blue = (round(float(v)) for v in mixed)
    return red, green, blue


def brightened(color: Color, amount: float = 0.35) -> Color:
    """The same hue nearer to white, for lines on photographs and dark ground; the palette is made for paper."""
    red, green, blue = (round(c + (255 - c) * amount) for c in color)
    return red, green, blue


def css(color: Color) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*color)


@dataclass(frozen=True)
class ScoreScale:
    """Where the colours of one plan begin and end: `low` is the worst score shown, `high` the best.

    Colours are relative to the plan, because the meaning of a score (softmax, sigmoid) differs between models; a legend
    prints both ends.
    """

    low: float
    high: float

    @classmethod
    def of_scores(cls, scores: Iterable[float]) -> ScoreScale:
        """Scale of the finite ones among the scores; 0 to 1 if there are none."""
        finite = [s for s in scores if math.isfinite(s)]
        return cls(min(finite), max(finite)) if finite else cls(0.0, 1.0)

    @classmethod
    def of_plan(cls, plan: PlanCandidates) -> ScoreScale:
        """Scale of the valid candidates of a plan."""
        return cls.of_scores(c.score for c in plan.candidates if not c.invalid_reasons)

    def fraction(self, score: float) -> float:
        """Place of a score on the scale, 0 to 1; 1 where all scores are equal; NaN for a score that is not finite."""
        if not math.isfinite(score):
            return math.nan
        span = self.high - self.low
        return 1.0 if span <= 1e-9 else min(1.0, max(0.0, (score - self.low) / span))

    def color(self, score: float) -> Color:
        """Colour of a score."""
        return score_color(self.fraction(score))
