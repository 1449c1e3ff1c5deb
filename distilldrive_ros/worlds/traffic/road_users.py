"""Kinds of road users: sizes, nuScenes categories, and how they drive."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RoadUser:
    """A kind: sizes in metres, `share` of its group, limits in m/s^2 and m/s.

    `name` is the vehicle type in SUMO, `vehicle_class` SUMO's class of it.
    """

    name: str
    category: str
    vehicle_class: str
    length: float
    width: float
    height: float
    share: float
    acceleration: float = 2.2
    deceleration: float = 4.0
    fastest: float = 45.0
    gap: float = 2.2

    @property
    def size(self) -> Array:
        """Length, width, height (3,)."""
        return np.array([self.length, self.width, self.height])


VEHICLES = (
    RoadUser("small_car", "vehicle.car", "passenger", 3.65, 1.66, 1.49, 0.16),
    RoadUser("compact", "vehicle.car", "passenger", 4.26, 1.78, 1.47, 0.22),
    RoadUser("saloon", "vehicle.car", "passenger", 4.72, 1.84, 1.45, 0.18),
    RoadUser("estate", "vehicle.car", "passenger", 4.85, 1.86, 1.52, 0.08),
    RoadUser("suv", "vehicle.car", "passenger", 4.70, 1.93, 1.72, 0.14),
    RoadUser("van", "vehicle.car", "passenger", 5.10, 1.98, 1.98, 0.06),
    RoadUser("delivery_truck", "vehicle.truck", "truck", 6.60, 2.20, 2.90, 0.04, 1.3),
    RoadUser("truck", "vehicle.truck", "truck", 9.20, 2.48, 3.40, 0.03, 1.0),
    RoadUser("bus", "vehicle.bus.rigid", "bus", 11.90, 2.55, 3.10, 0.03, 1.0),
    RoadUser("motorcycle", "vehicle.motorcycle", "motorcycle", 2.15, 0.82, 1.45, 0.03, 3.0),
    RoadUser("bicycle", "vehicle.bicycle", "bicycle", 1.80, 0.62, 1.70, 0.03, 1.0, 3.0, 5.5, 1.0),
)
# Too slow or too weak for a motorway.
STREET_ONLY = {"bicycle"}
PEDESTRIANS = (
    RoadUser("adult", "human.pedestrian.adult", "pedestrian", 0.62, 0.66, 1.76, 0.7, fastest=1.5),
    RoadUser("small_adult", "human.pedestrian.adult", "pedestrian", 0.58, 0.58, 1.62, 0.2, fastest=1.3),
    RoadUser("child", "human.pedestrian.child", "pedestrian", 0.45, 0.45, 1.20, 0.1, fastest=1.1),
)
BY_NAME = {user.name: user for user in (*VEHICLES, *PEDESTRIANS)}


def type_elements(ego_length: float, ego_width: float) -> list[ET.Element]:
    """Vehicle types for SUMO; the ego's, too, which SUMO moves only while nobody else does."""
    out = []
    for user in (*VEHICLES, *PEDESTRIANS):
        attributes = {
            "id": user.name, "vClass": user.vehicle_class, "length": f"{user.length:.2f}", "width": f"{user.width:.2f}",
            "height": f"{user.height:.2f}", "minGap": f"{user.gap if user.vehicle_class != 'pedestrian' else 0.25:.2f}",
            "maxSpeed": f"{user.fastest:.2f}",
        }  # fmt: skip
        if user.vehicle_class != "pedestrian":
            attributes |= {
                "accel": f"{user.acceleration:.2f}", "decel": f"{user.deceleration:.2f}", "emergencyDecel": "8",
                "carFollowModel": "IDM", "tau": "1.2", "speedFactor": "normc(0.97,0.08,0.8,1.12)",
                "lcSpeedGain": "0.8", "lcAssertive": "0.8", "jmIgnoreKeepClearTime": "-1", "sigma": "0",
                "jmTimegapMinor": "1.5", "latAlignment": "right" if user.name in STREET_ONLY else "center",
                "maxSpeedLat": "1.0", "lcSigma": "0",
            }  # fmt: skip
        out.append(ET.Element("vType", attributes))
    out.append(
        ET.Element(
            "vType", id="ego", vClass="passenger", length=f"{ego_length:.3f}", width=f"{ego_width:.3f}", minGap="2",
            insertionChecks="none", accel="2.5", decel="4.5", emergencyDecel="8", maxSpeed="45",
        )
    )  # fmt: skip
    return out
