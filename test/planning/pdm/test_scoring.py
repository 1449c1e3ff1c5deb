"""Properties of the scores that hold in any world, the corrected mode, and bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely

from distilldrive_ros.planning.pdm.comfort import comfort_flags_v2, extended_comfort
from distilldrive_ros.planning.pdm.drives import drive_candidates
from distilldrive_ros.planning.pdm.epdms import score_epdms, with_extended_comfort, with_human_filter
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.fidelity import CORRECTED, Fidelity
from distilldrive_ros.planning.pdm.history import past_states
from distilldrive_ros.planning.pdm.pdms import score_pdms
from distilldrive_ros.planning.pdm.rules import driving_direction, lane_keeping
from distilldrive_ros.planning.pdm.world import (
    EgoStart,
    MapLayer,
    MapPolygon,
    NavsimWorld,
    ObjectKind,
    ObjectTracks,
)

SPEED = 8.0


def car(x: float, y: float, vx: float, steps: int = 51) -> ObjectTracks:
    poses = np.zeros((1, steps, 3))
    poses[0, :, 0], poses[0, :, 1] = x + vx * 0.1 * np.arange(steps), y
    velocities = np.zeros((1, steps, 2))
    velocities[..., 0] = vx
    return ObjectTracks(
        ("car",), (ObjectKind.VEHICLE,), np.array([[4.6, 1.9]]), poses, velocities, np.ones((1, steps), bool)
    )


def street(objects: ObjectTracks | None = None) -> NavsimWorld:
    return NavsimWorld(
        ego=EgoStart(0.0, 0.0, 0.0, SPEED),
        polygons=(
            MapPolygon("road", MapLayer.ROADBLOCK, shapely.box(-20, -1.75, 120, 5.25)),
            MapPolygon("right", MapLayer.LANE, shapely.box(-20, -1.75, 120, 1.75)),
            MapPolygon("left", MapLayer.LANE, shapely.box(-20, 1.75, 120, 5.25)),
        ),
        route=frozenset({"right"}),
        centerline=np.array([[-20.0, 0.0], [120.0, 0.0]]),
        objects=objects or ObjectTracks.none(),
    )


def arcs(count: int = 30) -> np.ndarray:
    rng = np.random.default_rng(7)
    along = rng.uniform(0, 12, (count, 1)) * np.arange(1, 9) * 0.5
    heading = along * rng.normal(0, 0.02, (count, 1))
    return np.stack([along * np.cos(heading / 2), along * np.sin(heading / 2), heading], axis=-1)


def moved(world: NavsimWorld, angle: float, shift: tuple[float, float]) -> NavsimWorld:
    """The same world in another frame."""
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s], [s, c]])

    def polygon(piece: MapPolygon) -> MapPolygon:
        return replace(piece, polygon=shapely.transform(piece.polygon, lambda xy: xy @ rotation.T + shift))

    objects = world.objects
    poses = objects.poses.copy()
    poses[..., :2] = poses[..., :2] @ rotation.T + shift
    poses[..., 2] += angle
    return replace(
        world,
        ego=replace(world.ego, x=shift[0], y=shift[1], heading=angle),
        polygons=tuple(polygon(piece) for piece in world.polygons),
        centerline=world.centerline @ rotation.T + shift,
        objects=replace(objects, poses=poses, velocities=objects.velocities @ rotation.T),
    )


def test_scores_do_not_depend_on_the_frame() -> None:
    here = street(car(22.0, 0.2, 2.0))
    there = moved(here, 2.0, (1200.0, -700.0))
    candidates = arcs()
    for score in (score_pdms, score_epdms):
        a, b = score(here, drive_candidates(here, candidates)), score(there, drive_candidates(there, candidates))
        assert 0 < a.score.mean() < 1
        np.testing.assert_allclose(a.score, b.score, atol=1e-6)
        np.testing.assert_allclose(a.raw_progress, b.raw_progress, atol=1e-6)


def test_a_candidate_alone_scores_as_in_a_batch_but_for_progress() -> None:
    world = street(car(22.0, 0.2, 2.0))
    candidates = arcs()
    together = score_epdms(world, drive_candidates(world, candidates))
    for row in range(0, len(candidates), 7):
        alone = score_epdms(world, drive_candidates(world, candidates[row : row + 1]))
        for name in ("no_at_fault_collision", "drivable_area", "time_to_collision", "lane_keeping", "raw_progress"):
            assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[row], abs=1e-9), name


def test_pairwise_progress_equals_scoring_each_pair() -> None:
    world = street()
    candidates = arcs(6)
    batch = score_pdms(world, drive_candidates(world, candidates), reference=0)
    for row in range(6):
        pair = score_pdms(world, drive_candidates(world, candidates[[0, row]]))
        assert batch.score[row] == pytest.approx(pair.score[1], abs=1e-6)


def test_human_filter_excuses_what_the_human_did_not_keep() -> None:
    world = street(car(20.0, 0.0, 0.0))
    straight = np.stack([SPEED * 0.5 * np.arange(1, 9), np.zeros(8), np.zeros(8)], axis=-1)
    candidates = np.stack([straight, np.zeros_like(straight)])
    scores = score_epdms(world, drive_candidates(world, candidates))
    human = score_epdms(world, drive_candidates(world, candidates[:1]))
    assert scores.score[0] == 0.0 and human.no_at_fault_collision[0] == 0.0
    filtered = with_human_filter(scores, human)
    assert filtered.no_at_fault_collision.tolist() == [1.0, 1.0]
    assert filtered.time_to_collision.tolist() == [1.0, 1.0]
    assert filtered.score[0] == 1.0
    blameless = with_human_filter(scores, score_epdms(world, drive_candidates(world, candidates[1:])))
    np.testing.assert_array_equal(blameless.score, scores.score)


def test_extended_comfort_has_weight_two_of_sixteen() -> None:
    world = street()
    drives = drive_candidates(world, arcs(3))
    scores = score_epdms(world, drives)
    agrees = extended_comfort(drives.states, drives.states, 0)
    assert agrees.all()
    better, worse = with_extended_comfort(scores, agrees), with_extended_comfort(scores, ~agrees)
    product = scores.no_at_fault_collision * scores.drivable_area * scores.driving_direction
    np.testing.assert_allclose(better.score - worse.score, product * 2 / 16)


def test_corrected_comfort_sees_a_hard_stop() -> None:
    """With windows over the whole horizon the published v1 finds only the acceleration of a hard stop wrong."""
    world = street()
    drives = drive_candidates(world, np.zeros((1, 8, 3)))
    released = score_pdms(world, drives).comfort_flags[0]
    defined = score_pdms(world, drives, CORRECTED).comfort_flags[0]
    assert released.tolist() == [False, True, True, True, True, True]
    assert defined.tolist() == [False, True, False, False, True, True]


def test_corrected_time_to_collision_forgives_being_overtaken() -> None:
    world = street(car(-9.0, 0.0, 13.0))
    straight = np.stack([SPEED * 0.5 * np.arange(1, 9), np.zeros(8), np.zeros(8)], axis=-1)[None]
    drives = drive_candidates(world, straight)
    assert score_pdms(world, drives).time_to_collision[0] == 0.0
    assert score_pdms(world, drives, Fidelity(bearing_at_look_ahead=True)).time_to_collision[0] == 1.0


def test_corrected_jerk_penalty_changes_states_by_centimetres() -> None:
    world = street()
    candidates = arcs()
    released = drive_candidates(world, candidates).states
    defined = drive_candidates(world, candidates, fidelity=Fidelity(jerk_penalty=True)).states
    difference = np.abs(released - defined)[..., :4].max()
    assert 1e-5 < difference < 5e-2


def test_corrected_axis_of_a_steady_turn() -> None:
    """A steady turn at 1.4 rad/s: released, the centripetal term speeds the vehicle up."""
    states = np.zeros((1, 41, 11))
    states[..., 9] = 1.4
    states[..., 5] = 0.0
    assert not comfort_flags_v2(states)[0, 0]
    assert comfort_flags_v2(states, rigid_body=True)[0, 0]


def test_lane_keeping_counts_two_seconds_and_may_restart_after_an_intersection() -> None:
    line = np.array([[-10.0, 0.0], [100.0, 0.0]])

    def centers(off: int) -> np.ndarray:
        y = np.where(np.arange(41) < off, 0.6, 0.0)
        return np.stack([np.arange(41.0), y], axis=-1)[None]

    nowhere = np.zeros((1, 41), bool)
    assert lane_keeping(line, centers(19), nowhere)[0] == 1.0
    assert lane_keeping(line, centers(20), nowhere)[0] == 0.0
    crossing = nowhere.copy()
    crossing[0, 10:15] = True
    assert lane_keeping(line, centers(25), crossing)[0] == 0.0
    assert lane_keeping(line, centers(25), crossing, reset=True)[0] == 1.0


def test_driving_direction_looks_at_one_second() -> None:
    def score(speed: float, states: int) -> float:
        centers = np.stack([speed * 0.1 * np.arange(41), np.zeros(41)], axis=-1)[None]
        oncoming = (np.arange(41) < states)[None]
        return float(driving_direction(centers, oncoming)[0])

    assert score(1.5, 41) == 1.0
    assert score(4.0, 41) == 0.5
    assert score(8.0, 41) == 0.0
    assert score(8.0, 3) == 1.0


def test_history_drops_a_sample_unless_corrected() -> None:
    times = np.array([-1.5, -1.0, -0.5, 0.0])
    states = np.zeros((4, 11))
    states[:, 0], states[:, 3] = SPEED * times, SPEED
    released, defined = past_states(states, times), past_states(states, times, uniform=True)
    np.testing.assert_allclose(released[:, 0], SPEED * (-1.5 + 0.1 * np.arange(14)))
    np.testing.assert_allclose(defined[:, 0], SPEED * (-1.5 + 0.1 * np.arange(15)))
    assert len(past_states(states, times * 1.001)) == 15


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        (np.zeros((2, 6, 3)), "3.0 s"),
        (np.full((1, 8, 3), np.nan), "candidate 0"),
        (np.zeros((8, 3)), "shape"),
        (np.zeros((0, 8, 3)), "shape"),
    ],
)
def test_bad_candidates(candidates: Any, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        drive_candidates(street(), candidates)


def test_bad_worlds() -> None:
    with pytest.raises(ScoringError, match="centre line"):
        replace(street(), centerline=np.zeros((1, 2)))
    with pytest.raises(ScoringError, match="start"):
        replace(street(), ego=EgoStart(0, 0, float("nan"), 1))
    world = street(car(10, 0, 0, steps=41))
    drives = drive_candidates(world, arcs(2))
    assert score_epdms(world, drives).score.shape == (2,)
    with pytest.raises(ScoringError, match=r"5\.0 s"):
        score_pdms(world, drives)
    with pytest.raises(ScoringError, match="sizes"):
        replace(world.objects, sizes=np.ones((2, 2)))
    with pytest.raises(ScoringError, match="not finite"):
        replace(world.objects, velocities=np.full((1, 41, 2), np.nan))
