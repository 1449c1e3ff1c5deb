"""Every number of the published NAVSIM scorers on the golden worlds."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.planning.pdm.comfort import extended_comfort
from distilldrive_ros.planning.pdm.drives import Drives, drive_candidates
from distilldrive_ros.planning.pdm.epdms import score_epdms
from distilldrive_ros.planning.pdm.history import past_states
from distilldrive_ros.planning.pdm.map_areas import EgoAreas
from distilldrive_ros.planning.pdm.pdms import score_pdms

FLAGS = "comfort_flags_lonacc_latacc_jerk_lonjerk_yawacc_yawrate"
WORLDS = (
    "free", "slow_lead", "stopped_car", "cone", "crossing_ped", "rear_car", "side_car", "intersection_red",
    "standstill",
)  # fmt: skip
EXACT_V1 = {
    "NC": "no_at_fault_collision", "DAC": "drivable_area", "TTC": "time_to_collision", "C": "comfort",
    "DDC_unweighted": "driving_direction",
}  # fmt: skip
EXACT_V2 = {
    "NC": "no_at_fault_collision", "DAC": "drivable_area", "TLC": "traffic_light", "DDC": "driving_direction",
    "TTC": "time_to_collision", "LK": "lane_keeping", "HC": "history_comfort",
}  # fmt: skip


def pair(drives: Drives, row: int) -> Drives:
    """The two drives that a pairwise score compares: keep5 and another."""
    rows = [0, row]
    areas = EgoAreas(**{f.name: getattr(drives.areas, f.name)[rows] for f in fields(EgoAreas)})
    return Drives(drives.states[rows], drives.corners[rows], drives.centers[rows], areas)


def close(found: float, wanted: float) -> None:
    assert found == pytest.approx(wanted, rel=0, abs=1e-6)


def check_states(drives: Drives, row: int, wanted: dict[str, Any]) -> None:
    np.testing.assert_allclose(drives.states[row, 10], wanted["state_t1s"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(drives.states[row, 40], wanted["state_t4s"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", WORLDS)
def test_v1(golden: Any, name: str) -> None:
    world, names = golden.world(name), golden.names
    drives = drive_candidates(world, golden.candidates)
    scores = score_pdms(world, drives)
    for candidate, wanted in golden.results["v1"][name].items():
        row = names.index(candidate)
        check_states(drives, row, wanted)
        for key, field in EXACT_V1.items():
            assert getattr(scores, field)[row] == wanted[key], (candidate, key)
        assert scores.comfort_flags[row].astype(int).tolist() == wanted[FLAGS], candidate
        close(scores.raw_progress[row], wanted["raw_progress_m"])
        close(scores.ego_progress[row], wanted["EP"])
        close(scores.score[row], wanted["score_joint_all9"])
        paired = score_pdms(world, pair(drives, row))
        close(paired.ego_progress[1], wanted["EP_pair_vs_keep5"])
        close(paired.score[1], wanted["score_pair_vs_keep5"])


@pytest.mark.parametrize("name", WORLDS)
def test_v2(golden: Any, name: str) -> None:
    world, names = golden.world(name, steps=41), golden.names
    drives = drive_candidates(world, golden.candidates)
    scores = score_epdms(world, drives)
    v0 = world.ego.vx
    past = np.zeros((4, 11))
    past[:, 0], past[:, 3] = v0 * np.array([-1.5, -1.0, -0.5, 0.0]), v0
    after_history = score_epdms(world, drives, past_states(past, [-1.5, -1.0, -0.5, 0.0]))
    previous = drives.states[[names.index("keep8")]]
    agrees = extended_comfort(drives.states, np.repeat(previous, len(names), axis=0), 5)
    for candidate, wanted in golden.results["v2"][name].items():
        row = names.index(candidate)
        check_states(drives, row, wanted)
        for key, field in EXACT_V2.items():
            assert getattr(scores, field)[row] == wanted[key], (candidate, key)
        assert scores.comfort_flags[row].astype(int).tolist() == wanted[FLAGS], candidate
        assert after_history.history_comfort[row] == wanted["HC_with_constant_velocity_past_1p5s"], candidate
        assert bool(agrees[row]) == wanted["EC_vs_keep8_shifted_0p5s"], candidate
        close(scores.raw_progress[row], wanted["raw_progress_m"])
        close(scores.ego_progress[row], wanted["EP"])
        close(scores.score[row], wanted["score_joint_all9"])
        paired = score_epdms(world, pair(drives, row))
        close(paired.ego_progress[1], wanted["EP_pair_vs_keep5"])
        close(paired.score[1], wanted["score_pair_vs_keep5"])
