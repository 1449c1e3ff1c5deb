"""Sets get the truth of their very stamp, in whichever order the three come; others are left out and counted."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sensor_frame import Degraded, Discontinuity, EgoStatus, SensorFrame
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.sync.ground_truth_pairing import GroundTruthPairing

WAIT_NS = 1000


def frame(stamp_ns: int, flags: Discontinuity = Discontinuity.NONE) -> SensorFrame:
    ego = EgoStatus(stamp_ns, "base_link", stamp_ns, 0.0, 0.0, 0.0, math.nan, math.nan, math.nan)
    return SensorFrame(
        stamp_ns, "base_link", 0, Degraded.NONE, flags, Command.STRAIGHT, "odom", np.eye(4), (), None, ego
    )


def objects(stamp_ns: int) -> ObjectPredictions:
    return ObjectPredictions(stamp_ns, "base_link", "ground_truth", ())


def road(stamp_ns: int) -> VectorMap:
    return VectorMap(stamp_ns, "base_link", "ground_truth", ())


@pytest.mark.parametrize("order", list(permutations(("set", "objects", "road"))))
def test_three_parts_in_any_order_make_one_set(order: tuple[str, ...]) -> None:
    pairing = GroundTruthPairing(WAIT_NS)
    given = []
    for part in order:
        assert not given
        if part == "set":
            given = pairing.add(frame(7), 0)
        else:
            given = pairing.add_truth(objects(7) if part == "objects" else road(7), 0)
    (complete,) = given
    assert complete.privileged is not None
    assert complete.privileged.objects.stamp_ns == complete.privileged.road.stamp_ns == 7
    assert (pairing.paired, pairing.left_out, pairing.waiting) == (1, 0, 0)


def test_sets_between_key_frames_are_left_out_and_what_separated_them_is_kept() -> None:
    pairing = GroundTruthPairing(WAIT_NS)
    assert not pairing.add(frame(1, Discontinuity.SCENE_CHANGE), 0) and not pairing.add(frame(2), 0)
    assert pairing.waiting == 2
    pairing.add_truth(objects(2), 0)
    (complete,) = pairing.add_truth(road(2), 0)
    assert complete.stamp_ns == 2 and complete.discontinuity is Discontinuity.SCENE_CHANGE
    assert (pairing.paired, pairing.left_out) == (1, 1)


def test_a_set_whose_truth_never_comes_is_given_up() -> None:
    pairing = GroundTruthPairing(WAIT_NS)
    pairing.add(frame(1), 0)
    pairing.add_truth(objects(1), 0)
    pairing.poll(WAIT_NS)
    assert (pairing.paired, pairing.left_out) == (0, 1)
    assert not pairing.add_truth(road(1), WAIT_NS)
