"""The fixed tables of the nuScenes schema that a scene refers to: names are nuScenes', descriptions our own."""

from __future__ import annotations

CATEGORIES = (
    ("human.pedestrian.adult", "A grown-up on foot."),
    ("vehicle.car", "A car, estate or van."),
    ("vehicle.truck", "A vehicle made for cargo."),
    ("vehicle.bicycle", "A bicycle."),
    ("movable_object.trafficcone", "A traffic cone."),
)
ATTRIBUTES = (
    ("vehicle.moving", "The vehicle moves."),
    ("vehicle.stopped", "The vehicle stands and means to drive on."),
    ("vehicle.parked", "The vehicle stands for a longer time."),
    ("cycle.with_rider", "Somebody rides the cycle."),
    ("cycle.without_rider", "Nobody rides the cycle."),
    ("pedestrian.moving", "The person moves."),
    ("pedestrian.standing", "The person stands."),
    ("pedestrian.sitting_lying_down", "The person sits or lies."),
)
# Token, level, description, upper bound of the visible share.
VISIBILITIES = (
    ("1", "v0-40", "0 to 40 % of the object can be seen", 0.4),
    ("2", "v40-60", "40 to 60 % of the object can be seen", 0.6),
    ("3", "v60-80", "60 to 80 % of the object can be seen", 0.8),
    ("4", "v80-100", "80 to 100 % of the object can be seen", 1.0),
)


def visibility_token(share: float) -> str:
    """Token of the level that holds a visible share; the lowest level for NaN (nothing points at the object)."""
    for token, _, _, upper in VISIBILITIES:
        if share <= upper:
            return token
    return "1"
