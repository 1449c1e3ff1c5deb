"""Scenarios: every kind can be drawn, built and is consistent; impossible ones are refused."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.scenarios.appearance import draw_appearance
from distilldrive_ros.worlds.scenarios.layout import lay_out
from distilldrive_ros.worlds.scenarios.network import Network
from distilldrive_ros.worlds.scenarios.place import place_of_network
from distilldrive_ros.worlds.scenarios.roads import Edge, Node, RoadNetwork, build_network
from distilldrive_ros.worlds.scenarios.route import find_route
from distilldrive_ros.worlds.scenarios.scenario import TURNING, Scenario, ScenarioKind, draw_scenario
from distilldrive_ros.worlds.scenarios.scenery import plant_scenery
from distilldrive_ros.worlds.world import LineColor, SceneryKind

pytest.importorskip("sumolib", reason="the engines of driving worlds are not installed (make setup-world)")


def test_seeds_go_through_all_kinds_and_turns_in_balance() -> None:
    scenarios = [draw_scenario(seed) for seed in range(360)]
    assert {s.kind for s in scenarios} == set(ScenarioKind)
    assert [draw_scenario(seed) for seed in range(360)] == scenarios
    assert set(Counter(s.turn for s in scenarios).values()) == {120}
    for first in range(40):
        assert len({s.turn for s in scenarios[first : first + 3]}) == 3
    # Every turn comes up at every kind of junction.
    junctions = Counter((s.kind, s.turn) for s in scenarios if s.kind in TURNING)
    assert len(junctions) == 3 * len(TURNING)
    assert min(junctions.values()) >= 8
    assert len({s.name for s in scenarios}) == 360
    assert [draw_scenario(s, [ScenarioKind.EMPTY]).kind for s in range(3)] == [ScenarioKind.EMPTY] * 3
    chosen = [draw_scenario(s, [ScenarioKind.ROUNDABOUT, ScenarioKind.EMPTY]) for s in range(6)]
    assert Counter(s.kind for s in chosen) == {ScenarioKind.ROUNDABOUT: 5, ScenarioKind.EMPTY: 1}
    nights = [draw_appearance(s).sun_elevation_deg < 0 for s in scenarios]
    assert 0.05 < np.mean(nights) < 0.2


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lanes": 4}, "lanes is 4"),
        ({"lanes": 0}, "lanes is 0"),
        ({"speed_limit": 60.0}, "speed_limit is 60"),
        ({"speed_limit": float("nan")}, "speed_limit is nan"),
        ({"density": 1.5}, "density is 1.5"),
        ({"pedestrians": -0.1}, "pedestrians is -0.1"),
        ({"duration_s": 0.0}, "duration_s is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"turn": Command.LEFT}, "has no turn left"),
        ({"turn": Command.UNKNOWN}, "has no turn unknown"),
    ],
)
def test_impossible_numbers_are_refused_with_their_range(change: dict[str, Any], word: str) -> None:
    with pytest.raises(WorldError, match=word):
        Scenario(**{"kind": ScenarioKind.STRAIGHT, "seed": 1, **change})


def test_impossible_draws_are_refused() -> None:
    with pytest.raises(WorldError, match="no kind"):
        draw_scenario(0, [])
    with pytest.raises(WorldError, match="seed is -1"):
        draw_scenario(-1)


RIGHT = (ScenarioKind.FOUR_WAY_PRIORITY, ScenarioKind.T_JUNCTION)
CASES = [
    (kind, Command.RIGHT if kind in RIGHT else Command.LEFT if kind in TURNING else Command.STRAIGHT)
    for kind in ScenarioKind
    if kind not in (ScenarioKind.EMPTY, ScenarioKind.CUT_IN, ScenarioKind.HARD_BRAKING)  # on the roads of STRAIGHT
]


@pytest.mark.parametrize(("kind", "turn"), CASES, ids=lambda value: value.name.lower())
def test_places_and_routes_are_consistent(kind: ScenarioKind, turn: Command, tmp_path: Path) -> None:
    lanes = 1 if kind in (ScenarioKind.ROUNDABOUT, ScenarioKind.PARKED_CARS) else 2
    speed = {ScenarioKind.PARKED_CARS: 8.0, ScenarioKind.MERGE: 18.0}.get(kind, 10.0)
    scenario = Scenario(kind, 11, lanes=lanes, speed_limit=speed, turn=turn)
    layout = lay_out(scenario)
    net = Network(build_network(layout.network, tmp_path))
    place = place_of_network(net, "here")
    route = find_route(net, layout.edges, 0, layout.start, turn)
    by_token = place.lane_by_token
    assert len(by_token) == len(place.lanes)
    for lane in place.lanes:
        assert np.isfinite(lane.centerline).all() and lane.polygon.is_valid
        for token in lane.successors:
            assert lane.token in by_token[token].predecessors
            assert np.linalg.norm(by_token[token].centerline[0] - lane.centerline[-1]) < 0.2
    drivable = shapely.union_all(list(place.drivable))
    paved = shapely.union_all([drivable, *place.walkways])
    assert shapely.LineString(route.centerline).within(drivable.buffer(0.1))
    for first, second in zip(route.lanes[:-1], route.lanes[1:], strict=True):
        beside = by_token[first].polygon.buffer(0.2).intersects(by_token[second].polygon)
        assert second in by_token[first].successors or beside
    assert {command for _, _, command in route.turns} == ({turn} - {Command.STRAIGHT})
    length = shapely.LineString(route.centerline).length
    assert all(0 <= start < end < length for start, end, _ in route.turns)
    assert sum(area.intersection(drivable).area for area in place.walkways) < 1.0
    assert {line.color for line in place.dividers if line.separates_directions} <= {LineColor.YELLOW}
    connectors = {lane.token for lane in place.lanes if lane.is_connector}
    assert all(set(light.lanes) <= connectors for light in place.lights)
    assert {stop.light for stop in place.stop_lines} - {""} == {light.token for light in place.lights}
    assert bool(place.lights) == (kind == ScenarioKind.FOUR_WAY_LIGHTS)
    assert bool(place.intersections) == (kind in TURNING or kind == ScenarioKind.MERGE)
    scenery = plant_scenery(place, route.centerline, 4)
    assert scenery and not any(shapely.Point(thing.position).within(paved) for thing in scenery)
    if kind == ScenarioKind.ROUNDABOUT:
        island = shapely.Polygon(max((r for a in place.drivable for r in a.interiors), key=lambda r: r.length))
        inside = {thing.kind for thing in scenery if shapely.Point(thing.position).within(island)}
        assert SceneryKind.BUILDING not in inside


def test_roads_that_cannot_be_built_are_one_clear_error(tmp_path: Path) -> None:
    roads = RoadNetwork((Node("a", (0.0, 0.0)),), (Edge("ab", "a", "nowhere", 1, 10.0),))
    with pytest.raises(WorldError, match="netconvert refused the roads"):
        build_network(roads, tmp_path)


def test_a_network_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    roads = RoadNetwork((Node("a", (0.0, 0.0)), Node("b", (100.0, 0.0))), (Edge("ab", "a", "b", 1, 10.0),))
    whole = build_network(roads, tmp_path)
    broken = tmp_path / "broken.net.xml"
    shutil.copy(whole, broken)
    broken.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(WorldError, match=r"broken\.net\.xml cannot be read"):
        Network(broken)


def test_an_edge_that_does_not_lead_on_is_refused(tmp_path: Path) -> None:
    layout = lay_out(Scenario(ScenarioKind.T_JUNCTION, 2, turn=Command.LEFT))
    net = Network(build_network(layout.network, tmp_path))
    with pytest.raises(WorldError, match="no lane leads"):
        find_route(net, [layout.edges[1], layout.edges[0]], 0, 0.0, Command.LEFT)
    with pytest.raises(WorldError, match="no number 7"):
        find_route(net, layout.edges, 7, 0.0, Command.LEFT)
