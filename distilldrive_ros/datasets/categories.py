"""nuScenes categories and the ten classes of its detection task."""

from __future__ import annotations

# The public definition of the nuScenes detection task; categories that are not here take no part in it.
DETECTION_CLASS = {
    "movable_object.barrier": "barrier",
    "movable_object.trafficcone": "traffic_cone",
    "vehicle.bicycle": "bicycle",
    "vehicle.bus.bendy": "bus",
    "vehicle.bus.rigid": "bus",
    "vehicle.car": "car",
    "vehicle.construction": "construction_vehicle",
    "vehicle.motorcycle": "motorcycle",
    "vehicle.trailer": "trailer",
    "vehicle.truck": "truck",
    "human.pedestrian.adult": "pedestrian",
    "human.pedestrian.child": "pedestrian",
    "human.pedestrian.construction_worker": "pedestrian",
    "human.pedestrian.police_officer": "pedestrian",
}


def detection_class(category: str) -> str | None:
    """Class of a category such as `vehicle.bus.rigid`, or None outside the detection task."""
    return DETECTION_CLASS.get(category)
