"""Annotated boxes and painted pixels of the demo scene must be in the same place."""

from __future__ import annotations

import numpy as np
import pytest

from distilldrive_ros.datasets.demo_scene import painter
from distilldrive_ros.datasets.demo_scene.ground import Ground, make_noise
from distilldrive_ros.datasets.demo_scene.painter import Placement, paint
from distilldrive_ros.datasets.demo_scene.rig import CAMERAS
from distilldrive_ros.datasets.demo_scene.road import demo_road
from distilldrive_ros.datasets.demo_scene.traffic import Actor, place_traffic
from distilldrive_ros.datasets.demo_scene.view import View
from distilldrive_ros.geometry.boxes import box_corners
from distilldrive_ros.geometry.cameras import project_points
from distilldrive_ros.geometry.poses import inverse, planar_pose

WIDTH, HEIGHT = 800, 450
ROAD = demo_road()
ACTORS = {a.name: a for a in place_traffic(np.random.default_rng(3))}
GROUND = Ground(ROAD, make_noise(np.random.default_rng(0)))
EGO = planar_pose(*ROAD.point(0.0, -1.8), ROAD.pose(0.0)[2])


def _view(channel: str) -> View:
    mount = next(c for c in CAMERAS if c.channel == channel)
    return View(mount.intrinsics(WIDTH), EGO @ mount.base_from_camera, WIDTH, HEIGHT)


def _place(actor: Actor, distance: float, bearing_deg: float, turn: float) -> tuple[Placement, np.ndarray]:
    """An actor somewhere around the vehicle, and its box in the world."""
    bearing = np.radians(bearing_deg)
    x, y = (EGO @ [distance * np.cos(bearing), distance * np.sin(bearing), 0.0, 1.0])[:2]
    yaw = float(np.arctan2(EGO[1, 0], EGO[0, 0]) + turn)
    return Placement(actor.solid, x, y, yaw), np.array([x, y, actor.size[2] / 2, *actor.size, yaw])


@pytest.mark.parametrize(
    ("name", "camera", "distance", "bearing", "turn"),
    [
        ("lead", "CAM_FRONT", 12.0, 3.0, 0.2),
        ("lead", "CAM_FRONT_LEFT", 9.0, 55.0, 1.2),
        ("parked_2", "CAM_BACK", 11.0, 180.0, -0.4),
        ("truck", "CAM_FRONT_RIGHT", 14.0, -56.0, 2.0),
        ("cyclist", "CAM_FRONT", 9.0, -8.0, 2.6),
        ("crossing", "CAM_BACK_LEFT", 7.0, 109.0, 1.0),
        ("cone_0", "CAM_BACK_RIGHT", 6.0, -110.0, 0.3),
    ],
)  # fmt: skip
def test_projected_box_frames_the_painted_object(
    name: str, camera: str, distance: float, bearing: float, turn: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painter, "SHADOW_M", 0.0)  # shadows lie outside the box
    view = _view(camera)
    placement, box = _place(ACTORS[name], distance, bearing, turn)
    empty = np.asarray(paint(view, GROUND, []), np.int16)
    painted = np.asarray(paint(view, GROUND, [placement]), np.int16)
    changed = np.abs(painted - empty).max(axis=2) > 6
    corners, depth = project_points(view.intrinsics, inverse(view.world_from_camera), box_corners(box)[0])
    assert (depth > 0).all()
    low, high = corners.min(axis=0), corners.max(axis=0)
    rows, columns = np.nonzero(changed)
    assert columns.min() >= low[0] - 1.5 and columns.max() <= high[0] + 1.5
    assert rows.min() >= low[1] - 1.5 and rows.max() <= high[1] + 1.5
    # A box has corners where a cyclist has air; a wrong pose or size misses by far more.
    for axis, found in ((0, columns), (1, rows)):
        assert (found.max() - found.min()) > 0.6 * (high[axis] - low[axis])


def test_nearer_object_covers_the_farther_one() -> None:
    view = _view("CAM_FRONT")
    far, _ = _place(ACTORS["truck"], 25.0, 0.0, 0.0)
    near, box = _place(ACTORS["lead"], 10.0, 0.0, 0.0)
    both = np.asarray(paint(view, GROUND, [near, far]), np.int16)
    alone = np.asarray(paint(view, GROUND, [near]), np.int16)
    middle, _ = project_points(view.intrinsics, inverse(view.world_from_camera), box[None, :3])
    u, v = middle[0].round().astype(int)
    assert np.array_equal(both[v - 5 : v + 5, u - 10 : u + 10], alone[v - 5 : v + 5, u - 10 : u + 10])
    assert not np.array_equal(both, alone)  # the truck is seen above the car


def test_object_half_behind_the_camera_is_cut_not_smeared() -> None:
    view = _view("CAM_FRONT_RIGHT")
    beside, _ = _place(ACTORS["truck"], 3.2, -90.0, 0.0)
    picture = np.asarray(paint(view, GROUND, [beside]))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    empty = np.asarray(paint(view, GROUND, []))
    assert np.array_equal(picture[:, :20], empty[:, :20]) != np.array_equal(picture[:, -20:], empty[:, -20:])


def test_lane_line_is_painted_where_the_map_has_it() -> None:
    """The solid line between lane and parking bay, against the road beside it, in the front camera."""
    view = _view("CAM_FRONT")
    picture = np.asarray(paint(view, GROUND, []), np.float64).mean(axis=2)
    pose = inverse(view.world_from_camera)
    for s in (9.0, 12.0, 15.0):
        points = np.array([[*ROAD.point(s, d), 0.0] for d in (-3.6, -3.3)])
        (on, beside), _ = project_points(view.intrinsics, pose, points)
        line = picture[round(on[1]), round(on[0])]
        assert line > picture[round(beside[1]), round(beside[0])] + 60
