"""The fixed tables of the nuScenes schema that a scene refers to: names are nuScenes', descriptions our own."""

from __future__ import annotations

CATEGORIES = (
    ("human.pedestrian.adult", "A grown-up on foot."),
    ("human.pedestrian.child", "A child on foot."),
    ("human.pedestrian.wheelchair", "A person in a wheelchair."),
    ("human.pedestrian.stroller", "A stroller with or without a child."),
    ("human.pedestrian.personal_mobility", "A person on a small vehicle such as a scooter or skateboard."),
    ("human.pedestrian.police_officer", "A police officer on foot."),
    ("human.pedestrian.construction_worker", "A person at work on a building site."),
    ("animal", "An animal."),
    ("vehicle.car", "A car, estate or van."),
    ("vehicle.motorcycle", "A motorcycle or moped, with its rider."),
    ("vehicle.bicycle", "A bicycle, with its rider."),
    ("vehicle.bus.bendy", "A bus with a joint."),
    ("vehicle.bus.rigid", "A bus without a joint."),
    ("vehicle.truck", "A vehicle made for cargo."),
    ("vehicle.construction", "A vehicle made for building."),
    ("vehicle.emergency.ambulance", "An ambulance."),
    ("vehicle.emergency.police", "A police car."),
    ("vehicle.trailer", "A trailer."),
    ("movable_object.barrier", "A barrier that was put up for a while."),
    ("movable_object.trafficcone", "A traffic cone."),
    ("movable_object.pushable_pullable", "A thing that people push or pull."),
    ("movable_object.debris", "A thing on the road that is too large to drive over."),
    ("static_object.bicycle_rack", "A rack for bicycles."),
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
    return _visibility(share)[0]


def visibility_level(share: float) -> str:
    """Name of the same level, such as `v80-100`: roots number them as they like."""
    return _visibility(share)[1]


def _visibility(share: float) -> tuple[str, str, str, float]:
    return next((row for row in VISIBILITIES if share <= row[3]), VISIBILITIES[0])
