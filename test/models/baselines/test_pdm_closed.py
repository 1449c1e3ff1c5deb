"""PDM-Closed as a model: plans in the truth it is given, and says so where it is given none."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.planning.pdm.privileged_world import privileged_world
from distilldrive_ros.planning.selection import plan
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError, SensorDataError
from distilldrive_ros.scene.ground_truth import GroundTruth
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import Degraded, Discontinuity, EgoStatus, SensorFrame
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

STAMP_NS = 10_000_000_000


def outline(kind: PolylineKind, x0: float, y0: float, x1: float, y1: float) -> MapPolyline:
    points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    return MapPolyline(kind, 1.0, np.array(points, np.float32))


def straight_road(*further: MapPolyline) -> VectorMap:
    line = np.stack([np.arange(-20.0, 131.0), np.zeros(151)], axis=-1).astype(np.float32)
    polylines = (
        MapPolyline(PolylineKind.CENTERLINE, 1.0, line),
        outline(PolylineKind.DRIVABLE_AREA, -50, -6, 200, 6),
        outline(PolylineKind.ROUTE_LANE, -50, -2, 200, 2),
        outline(PolylineKind.LANE, -50, 2, 200, 6),
        *further,
    )
    return VectorMap(STAMP_NS, "base_link", "ground_truth", polylines)


def car(x: float, y: float = 0.0, speed: float = math.nan) -> ObjectPrediction:
    box = np.array([x, y, 0.8, 4.6, 1.9, 1.6, 0.0])
    none = np.zeros(0, np.float32)
    return ObjectPrediction(1, "car", 1.0, box, np.array([speed, 0.0]), 0.5, none, np.zeros((0, 12, 2), np.float32))


def frame(speed: float, *objects: ObjectPrediction, road: VectorMap | None = None) -> SensorFrame:
    ego = EgoStatus(STAMP_NS, "base_link", STAMP_NS, speed, 0.0, 0.0, math.nan, math.nan, math.nan)
    truth = GroundTruth(ObjectPredictions(STAMP_NS, "base_link", "ground_truth", objects), road or straight_road())
    return SensorFrame(
        STAMP_NS, "base_link", 0, Degraded.NONE, Discontinuity.NONE, Command.LEFT, "odom", np.eye(4), (), None, ego,
        truth,
    )  # fmt: skip


def test_the_best_proposal_is_selected_and_the_road_is_kept() -> None:
    model = load_model("pdm_closed")
    assert model.requirements.ground_truth and not model.requirements.cameras and not model.requirements.lidar
    given = frame(8.0)
    output = ModelSession(model).run(given)
    candidates = output.candidates
    assert (candidates.num_candidates, candidates.num_steps, candidates.time_step) == (21, 8, 0.5)
    chosen = plan(candidates, PlanningLimits(), 8.0).best
    assert chosen is not None and chosen.command is Command.LEFT
    assert given.privileged is not None
    wanted = plan_pdm_closed(privileged_world(given.privileged, given.ego, 0.0)).states[5::5, :2]
    np.testing.assert_allclose(chosen.positions, wanted, atol=1e-5)
    assert np.abs(chosen.positions[:, 1]).max() < 0.2 and chosen.positions[-1, 0] > 30.0


def test_it_brakes_for_a_car_of_unknown_speed_that_a_blind_model_would_hit() -> None:
    session = ModelSession(load_model("pdm_closed"))
    ends = []
    for given in (frame(8.0), frame(8.0, car(25.0))):
        session.reset("another street")
        best = plan(session.run(given).candidates, PlanningLimits(), 8.0).best
        assert best is not None
        ends.append(best.positions[-1, 0] + 4.05)
    assert ends[0] > 25.0 and ends[1] < 25.0 - 2.3


def test_holes_are_not_drivable() -> None:
    island = outline(PolylineKind.DRIVABLE_AREA, 20, -5, 40, 5)
    given = frame(8.0, road=straight_road(island))
    assert given.privileged is not None
    world = privileged_world(given.privileged, given.ego, 0.0)
    areas = [p.polygon for p in world.polygons if p.layer.value == "DRIVABLE_AREA"]
    assert sum(a.area for a in areas) == pytest.approx(250 * 12 - 200)
    assert world.route == frozenset({"lane 2"})
    assert ModelSession(load_model("pdm_closed")).run(given).candidates.score.max() > 0.0


def test_what_is_missing_is_said() -> None:
    model = load_model("pdm_closed")
    with pytest.raises(SensorDataError, match="privileged and needs the ground truth"):
        ModelSession(model).run(replace(frame(5.0), privileged=None))
    bare = VectorMap(STAMP_NS, "base_link", "ground_truth", ())
    with pytest.raises(SensorDataError, match="0 centre lines of a route, one is needed"):
        ModelSession(model).run(frame(5.0, road=bare))
    with pytest.raises(SensorDataError, match="NaN or infinity"):
        ModelSession(model).run(frame(math.nan))
    with pytest.raises(ConfigurationError, match="takes no weights"):
        load_model("pdm_closed", ModelRequest(weights=Path("x")))
