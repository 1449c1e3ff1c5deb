"""What a recording truly knows of an instant: for privileged models and for scoring only."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.vector_map import VectorMap


@dataclass(frozen=True)
class GroundTruth:
    """Annotated road users and the road with its route, both of the same instant, in base_link.

    `road`: the outlines and the centre line of `datasets.route_region`.
    """

    objects: ObjectPredictions
    road: VectorMap
