"""Every bound of the sub-scores, from both sides: the golden worlds pass many of them at a distance."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from distilldrive_ros.planning.pdm.collisions import no_at_fault_collision, time_to_collision
from distilldrive_ros.planning.pdm.comfort import (
    FLAG_NAMES,
    comfort_flags_v1,
    comfort_flags_v2,
    extended_comfort,
)
from distilldrive_ros.planning.pdm.drives import Drives, locate
from distilldrive_ros.planning.pdm.epdms import score_epdms
from distilldrive_ros.planning.pdm.pdms import score_pdms
from distilldrive_ros.planning.pdm.rules import driving_direction
from distilldrive_ros.planning.pdm.states import State
from distilldrive_ros.planning.pdm.world import (
    EgoStart,
    MapLayer,
    MapPolygon,
    NavsimWorld,
    ObjectKind,
    ObjectTracks,
)

TIMES = 0.1 * np.arange(41)


def street(objects: ObjectTracks, *more: MapPolygon) -> NavsimWorld:
    """Two lanes of 3.5 m; the ego's rear axle starts at the origin, in the right one."""
    return NavsimWorld(
        ego=EgoStart(0.0, 0.0, 0.0, 8.0),
        polygons=(
            MapPolygon("road", MapLayer.ROADBLOCK, shapely.box(-20, -1.75, 120, 5.25)),
            MapPolygon("right", MapLayer.LANE, shapely.box(-20, -1.75, 120, 1.75)),
            MapPolygon("left", MapLayer.LANE, shapely.box(-20, 1.75, 120, 5.25)),
            *more,
        ),
        route=frozenset({"right", "left"}),
        centerline=np.array([[-20.0, 0.0], [120.0, 0.0]]),
        objects=objects,
    )


def car(x: float, y: float, speed: float, width: float = 1.9) -> ObjectTracks:
    """A car that is reported moving and stays in place, so that one contact is looked at."""
    poses, velocities = np.zeros((1, 51, 3)), np.zeros((1, 51, 2))
    poses[..., :2], velocities[..., 0] = [x, y], speed
    present = np.ones((1, 51), bool)
    return ObjectTracks(("1",), (ObjectKind.VEHICLE,), np.array([[4.6, width]]), poses, velocities, present)


def here(y: float, speed: float = 8.0) -> np.ndarray:
    """One state beside the origin."""
    states = np.zeros((1, 1, 11))
    states[..., State.Y], states[..., State.VX] = y, speed
    return states


@pytest.mark.parametrize(
    ("ego_y", "ego_speed", "place", "speed", "score"),
    [
        (0.0, 8.0, (1.5, 1.9), 5.0, 1.0),  # beside, in one lane
        (1.0, 8.0, (1.5, 2.9), 5.0, 0.0),  # beside, between lanes
        (-1.0, 8.0, (1.5, 0.9), 5.0, 0.0),  # beside, off the road
        (1.0, 8.0, (-2.0, 3.0), 5.0, 0.0),  # 135 degrees: beside, between lanes
        (1.0, 8.0, (-3.3, 2.2), 5.0, 1.0),  # 160 degrees: behind, whatever the lane
        (0.0, 8.0, (1.5, 1.9), 0.1, 1.0),  # slow, but moving
        (0.0, 8.0, (1.5, 1.9), 0.04, 0.0),  # standing
        (0.0, 0.04, (1.5, 1.9), 0.04, 1.0),  # the ego stands
        (0.0, 8.0, (5.0, 1.9), 5.0, 0.0),  # the front bumper
    ],
)
def test_whose_fault(ego_y: float, ego_speed: float, place: tuple[float, float], speed: float, score: float) -> None:
    world = street(car(*place, speed))
    drives = locate(here(ego_y, ego_speed), world)
    assert no_at_fault_collision(drives, world.objects).tolist() == [score]


@pytest.mark.parametrize(
    ("place", "crossing", "score"),
    [
        ((4.5, 2.3), False, 0.0),  # 27 degrees: ahead
        ((4.5, 3.0), False, 1.0),  # 34 degrees: not ahead
        ((4.5, 3.0), True, 0.0),  # the same in an intersection
        ((-3.3, 1.2), True, 1.0),  # behind, even there
    ],
)
def test_what_is_ahead(place: tuple[float, float], crossing: bool, score: float) -> None:
    area = MapPolygon("x", MapLayer.INTERSECTION, shapely.box(-1, -1, 1, 1))
    world = street(car(*place, 5.0, width=4.0), *([area] if crossing else []))
    assert time_to_collision(locate(here(0.0), world), world.objects, 1).tolist() == [score]


def test_standing_ego_has_no_time_to_collision() -> None:
    world = street(car(4.5, 0.0, 5.0))
    assert time_to_collision(locate(here(0.0, 0.004), world), world.objects, 1).tolist() == [1.0]
    assert time_to_collision(locate(here(0.0, 0.006), world), world.objects, 1).tolist() == [0.0]


def test_v2_looks_at_32_states_and_v1_at_all() -> None:
    """The ego stands, and from a state on it drives right behind a car."""
    world = street(car(60.0, 0.0, 5.0))

    def drives(first: int) -> Drives:
        states = np.zeros((1, 41, 11))
        states[0, first:, State.X], states[0, first:, State.VX] = 50.0, 8.0
        return locate(states, world)

    assert score_epdms(world, drives(31)).time_to_collision.tolist() == [0.0]
    assert score_epdms(world, drives(32)).time_to_collision.tolist() == [1.0]
    assert score_pdms(world, drives(40)).time_to_collision.tolist() == [0.0]


def test_between_lanes_only_where_no_lane_holds_the_body() -> None:
    wide = MapPolygon("wide", MapLayer.LANE_CONNECTOR, shapely.box(-20, -1.75, 120, 5.25))
    states = here(1.0)
    assert locate(states, street(ObjectTracks.none())).areas.multiple_lanes.all()
    assert not locate(states, street(ObjectTracks.none(), wide)).areas.multiple_lanes.any()


@pytest.mark.parametrize(("step", "score"), [(0.181, 1.0), (0.183, 0.5), (0.545, 0.5), (0.546, 0.0)])
def test_direction_sums_eleven_moves(step: float, score: float) -> None:
    centers = np.stack([step * np.arange(41), np.zeros(41)], axis=-1)[None]
    assert driving_direction(centers, np.ones((1, 41), bool)).tolist() == [score]


BOUNDS = (
    ("longitudinal_acceleration", 2.39, 2.41),
    ("longitudinal_acceleration", -4.04, -4.06),
    ("lateral_acceleration", 4.88, 4.90),
    ("lateral_acceleration", -4.88, -4.90),
    ("yaw_acceleration", 1.92, 1.94),
    ("yaw_rate", 0.94, 0.96),
    ("yaw_rate", -0.94, -0.96),
)


@pytest.mark.parametrize(("flag", "within", "beyond"), BOUNDS)
def test_comfort_bounds(flag: str, within: float, beyond: float) -> None:
    """Constant profiles and parabolas of the heading pass the smoothing unchanged."""
    states = np.zeros((2, 41, 11))
    value = np.array([[within], [beyond]])
    if flag == "longitudinal_acceleration":
        states[..., State.AX] = value
    elif flag == "lateral_acceleration":
        states[..., State.AY] = value
    elif flag == "yaw_acceleration":
        states[..., State.HEADING] = value * TIMES**2 / 2
    else:
        states[..., State.HEADING] = (value * TIMES + np.pi) % (2 * np.pi) - np.pi
    for flags in (comfort_flags_v1(states), comfort_flags_v2(states)):
        assert flags[:, FLAG_NAMES.index(flag)].tolist() == [True, False]


# The released smoothing has an even window, which shifts by half a sample but at the ends: a ramp gets kinks there,
# and its slope is overrated by these factors (scipy's filter applied to a ramp).
GAIN_V1, GAIN_V2 = 1.05073769, 1.12638979


@pytest.mark.parametrize(
    ("flag", "bound", "column"),
    [
        ("jerk", 8.37, State.AY),
        ("jerk", 8.37, State.AX),
        ("longitudinal_jerk", 4.13, State.AX),
        ("longitudinal_jerk", -4.13, State.AX),
    ],
)
def test_jerk_bounds(flag: str, bound: float, column: State) -> None:
    for flags_of, gain in ((comfort_flags_v1, GAIN_V1), (comfort_flags_v2, GAIN_V2)):
        states = np.zeros((2, 41, 11))
        states[..., column] = np.array([[0.999], [1.001]]) * bound / gain * TIMES
        assert flags_of(states)[:, FLAG_NAMES.index(flag)].tolist() == [True, False]


def test_released_v2_adds_both_terms_to_the_longitudinal_acceleration() -> None:
    states = np.zeros((3, 41, 11))
    states[1, :, State.YAW_ACCELERATION] = 1.7
    states[2, :, State.YAW_RATE] = 1.3
    assert comfort_flags_v2(states)[:, 0].tolist() == [True, False, False]
    assert comfort_flags_v2(states, rigid_body=True)[:, 0].tolist() == [True, True, True]
    assert comfort_flags_v1(states)[:, 0].tolist() == [True, True, True]


@pytest.mark.parametrize(
    ("what", "within", "beyond"),
    [("acceleration", 0.69, 0.71), ("jerk", 0.49, 0.51), ("yaw rate", 0.09, 0.11), ("yaw acceleration", 0.09, 0.11)],
)
def test_extended_comfort_bounds(what: str, within: float, beyond: float) -> None:
    shift = 20
    previous = np.zeros((2, 41, 11))
    previous[..., State.AX] = 5.0
    current = previous.copy()
    value, about_middle = np.array([[within], [beyond]]), TIMES - 1.0
    if what == "acceleration":
        current[..., State.AX] += value
    elif what == "jerk":
        current[..., State.AX] += value * about_middle
    elif what == "yaw rate":
        current[..., State.HEADING] += value * TIMES
    else:
        current[..., State.HEADING] += value * about_middle**2 / 2
    assert extended_comfort(current, previous, shift).tolist() == [True, False]


@pytest.mark.parametrize(("best", "worse"), [(4.9, 1.0), (5.1, 0.5)])
def test_progress_is_compared_from_five_metres_on(best: float, worse: float) -> None:
    world = street(ObjectTracks.none())
    states = np.zeros((2, 41, 11))
    states[:, :, State.X] = np.array([[best], [best / 2]]) * TIMES / 4.0
    drives = locate(states, world)
    for progress in (score_pdms(world, drives).ego_progress, score_epdms(world, drives).ego_progress):
        np.testing.assert_allclose(progress, [1.0, worse])
    # Whoever leaves the road is nobody's measure; v2 lets the others' progress be cut off at 1.
    off = states.copy()
    off[0, -1, State.Y] = -3.0
    drives = locate(off, world)
    assert score_pdms(world, drives).ego_progress.tolist() == [0.0, 1.0]
    assert score_epdms(world, drives).ego_progress.tolist() == [1.0, 1.0]
