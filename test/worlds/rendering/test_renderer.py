"""What is drawn lies where geometry says, to the pixel and to the centimetre."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPoint

pytest.importorskip("panda3d", reason="Panda3D is not installed (make setup-world)")

from distilldrive_ros.datasets.categories import DETECTION_CLASS
from distilldrive_ros.datasets.demo_scene.rig import CAMERAS, base_from_lidar
from distilldrive_ros.geometry.boxes import box_corners, points_in_box
from distilldrive_ros.geometry.cameras import project_points
from distilldrive_ros.geometry.poses import inverse, transform_points
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.rendering.agent_shapes import shape, shape_key
from distilldrive_ros.worlds.rendering.display import Display
from distilldrive_ros.worlds.rendering.face_registry import FACES_PER_AGENT
from distilldrive_ros.worlds.rendering.mesh import solid_mesh
from distilldrive_ros.worlds.rendering.renderer import SceneRenderer
from distilldrive_ros.worlds.rig import Rig, RigCamera, RigLidar
from distilldrive_ros.worlds.world import (
    Agent,
    Appearance,
    Divider,
    EgoState,
    LightState,
    LineColor,
    LinePattern,
    Place,
    Scenery,
    SceneryKind,
    Snapshot,
    TrafficLight,
)

TURN = math.radians(25)
BOX = "movable_object.debris"  # drawn as a plain box that fills its size


# Far from zero, as real maps are.
ORIGIN = np.array([1800.0, 900.0])


def street() -> Place:
    """A road 200 m long and 12 m wide along x, walkways on both sides, a wall 30 m to the left."""
    x, y = ORIGIN
    road = shapely.box(x - 100, y - 6, x + 100, y + 6)
    walks = (shapely.box(x - 100, y + 6, x + 100, y + 9), shapely.box(x - 100, y - 9, x + 100, y - 6))
    middle = Divider(np.array([[x - 100, y], [x + 100, y]]), LinePattern.DASHED, LineColor.WHITE, True)
    crossing = shapely.box(x + 20, y - 6, x + 24, y + 6)
    wall = Scenery(SceneryKind.BUILDING, ORIGIN + (0.0, 30.0), 0.0, np.array([60.0, 10.0, 20.0]), 3)
    return Place("street", (road,), (road,), (), (), (middle,), (crossing,), walks, scenery=(wall,))


def agent(
    number: int, category: str, x: float, y: float, yaw: float, size: tuple[float, float, float], attribute: str = ""
) -> Agent:
    """An agent at a place relative to the middle of the street."""
    center = np.array([ORIGIN[0] + x, ORIGIN[1] + y, size[2] / 2])
    return Agent(number, category, attribute, center, yaw, np.array(size), np.zeros(2), number)


def snapshot(*agents: Agent) -> Snapshot:
    """The street with these agents; the ego in its middle looks along +x."""
    return Snapshot(0, EgoState(ORIGIN.copy(), 0.0, 0.0), agents)


@pytest.fixture(scope="module")
def rig() -> Rig:
    """A camera ahead with an off-centre principal point, one to the back, and the LiDAR."""
    off = np.array([[260.0, 0.0, 117.3], [0.0, 251.0, 141.8], [0.0, 0.0, 1.0]])
    ahead, back = CAMERAS[0], CAMERAS[3]
    return Rig(
        (
            RigCamera("CAM_FRONT", off, 320, 180, ahead.base_from_camera, 0),
            RigCamera("CAM_BACK", back.intrinsics(320), 320, 180, back.base_from_camera, 0),
        ),
        RigLidar("LIDAR_TOP", base_from_lidar()),
    )


@pytest.fixture(scope="module")
def renderer(rig: Rig) -> Iterator[SceneRenderer]:
    with SceneRenderer(street(), Appearance(), rig) as made:
        yield made


def silhouette(one: Agent, camera: RigCamera, world: Snapshot) -> NDArray[np.bool_]:
    """Pixels whose centres lie inside the projection of an agent's box."""
    box = [[*one.center, *one.size, one.yaw]]
    camera_from_world = inverse(world.ego.world_from_base @ camera.base_from_camera)
    pixels, _ = project_points(camera.intrinsics, camera_from_world, box_corners(box)[0])
    hull = MultiPoint(pixels).convex_hull
    u, v = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    return np.asarray(shapely.contains_xy(hull, u, v))


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())


@pytest.mark.parametrize(("x", "y", "yaw"), [(12.0, 1.0, 0.0), (9.0, -1.5, TURN), (30.0, 3.0, 1.0)])
def test_a_box_covers_exactly_the_pixels_of_its_projection(
    renderer: SceneRenderer, rig: Rig, x: float, y: float, yaw: float
) -> None:
    world = snapshot(agent(7, BOX, x, y, yaw, (4.0, 1.8, 1.6)))
    expected = silhouette(world.agents[0], rig.cameras[0], world)
    seen = renderer.ids(world, "CAM_FRONT") == 7
    assert expected.sum() > 100
    assert overlap(seen, expected) > 0.985


@pytest.mark.parametrize(
    ("category", "size", "attribute", "least"),
    [
        ("vehicle.car", (4.6, 1.9, 1.6), "vehicle.moving", 0.60),
        ("vehicle.truck", (8.5, 2.6, 3.2), "vehicle.moving", 0.80),
        ("vehicle.bus.rigid", (11.5, 2.9, 3.4), "vehicle.moving", 0.90),
        ("vehicle.trailer", (10.0, 2.8, 3.6), "vehicle.parked", 0.75),
        ("vehicle.construction", (6.5, 2.8, 3.2), "vehicle.parked", 0.40),
        ("vehicle.motorcycle", (2.1, 0.8, 1.7), "cycle.with_rider", 0.40),
        ("vehicle.bicycle", (1.8, 0.6, 1.7), "cycle.with_rider", 0.30),
        ("vehicle.bicycle", (1.8, 0.6, 1.1), "cycle.without_rider", 0.20),
        ("human.pedestrian.adult", (0.7, 0.7, 1.75), "pedestrian.moving", 0.45),
        ("movable_object.barrier", (0.6, 2.4, 1.0), "", 0.70),
        ("movable_object.trafficcone", (0.4, 0.4, 0.8), "", 0.25),
        ("animal", (0.9, 0.35, 0.6), "", 0.35),
        ("static_object.bicycle_rack", (3.0, 1.5, 1.0), "", 0.02),
    ],
)
def test_every_kind_of_agent_sits_in_its_box(
    renderer: SceneRenderer, rig: Rig, category: str, size: tuple[float, float, float], attribute: str, least: float
) -> None:
    world = snapshot(agent(7, category, 14.0, 0.5, 0.6, size, attribute))
    expected = silhouette(world.agents[0], rig.cameras[0], world)
    seen = renderer.ids(world, "CAM_FRONT") == 7
    # A pixel of slack: decals and wheels stand out by a centimetre.
    rows, columns = np.nonzero(expected)
    seen_rows, seen_columns = np.nonzero(seen)
    assert seen_rows.min() >= rows.min() - 1
    assert seen_rows.max() <= rows.max() + 1
    assert seen_columns.min() >= columns.min() - 1
    assert seen_columns.max() <= columns.max() + 1
    assert overlap(seen, expected) > least


def test_who_stands_behind_is_hidden(renderer: SceneRenderer) -> None:
    near, far = agent(1, BOX, 8.0, 0.0, 0.0, (1.0, 8.0, 4.0)), agent(2, BOX, 14.0, 0.0, 0.0, (1.0, 2.0, 1.5))
    assert (renderer.ids(snapshot(far), "CAM_FRONT") == 2).any()
    assert not (renderer.ids(snapshot(far, near), "CAM_FRONT") == 2).any()


def test_pictures_repeat_to_the_bit(renderer: SceneRenderer, rig: Rig) -> None:
    world = snapshot(agent(1, "vehicle.car", 12.0, 2.0, 0.3, (4.6, 1.9, 1.6)))
    first = renderer.images(world)
    assert {c: i.shape for c, i in first.items()} == {"CAM_FRONT": (180, 320, 3), "CAM_BACK": (180, 320, 3)}
    with SceneRenderer(street(), Appearance(), rig) as other:
        second = other.images({"CAM_FRONT": world})
    assert list(second) == ["CAM_FRONT"]
    np.testing.assert_array_equal(first["CAM_FRONT"], second["CAM_FRONT"])
    np.testing.assert_array_equal(renderer.images(world)["CAM_BACK"], first["CAM_BACK"])


def test_an_agent_changes_its_own_pixels_and_its_shadow(renderer: SceneRenderer) -> None:
    one = agent(1, "vehicle.car", 12.0, 0.0, 0.3, (4.6, 1.9, 1.6))
    empty, full = renderer.images(snapshot())["CAM_FRONT"], renderer.images(snapshot(one))["CAM_FRONT"]
    changed = np.abs(empty.astype(int) - full).max(-1) > 6
    own = renderer.ids(snapshot(one), "CAM_FRONT") == 1
    assert changed[own].mean() > 0.9
    assert not changed[:60].any()  # the sky


def test_each_camera_sees_its_own_instant(renderer: SceneRenderer) -> None:
    one = agent(1, BOX, 12.0, 0.0, 0.0, (2.0, 2.0, 2.0))
    early, late = snapshot(one), dataclasses.replace(snapshot(), time_ns=50_000_000)
    mixed = renderer.images({"CAM_FRONT": early, "CAM_BACK": late})
    np.testing.assert_array_equal(mixed["CAM_FRONT"], renderer.images(early)["CAM_FRONT"])
    np.testing.assert_array_equal(mixed["CAM_BACK"], renderer.images(late)["CAM_BACK"])


def test_the_lidar_meets_agents_ground_and_walls_where_they_are(renderer: SceneRenderer, rig: Rig) -> None:
    one = agent(5, "vehicle.car", 10.0, 2.0, TURN, (4.6, 1.9, 1.6))
    world = snapshot(one)
    sweep = renderer.sweep(world, np.random.default_rng(0))
    assert sweep.points.dtype == np.float32
    assert len(sweep.points) == len(sweep.agent_ids) > 15_000
    assert set(np.unique(sweep.points[:, 4])) <= set(range(32))
    points = transform_points(world.ego.world_from_base @ rig.lidar.base_from_lidar, sweep.points[:, :3])
    mine = sweep.agent_ids == 5
    assert mine.sum() > 100
    box = [*one.center, *(one.size + 0.12), one.yaw]
    assert points_in_box(box, points[mine]).all()
    assert not points_in_box([*one.center, *(one.size * 0.7), one.yaw], points[~mine]).any()
    flat = np.abs(points[:, 1] - 900.0) < 5.5
    assert np.abs(points[flat & ~mine, 2]).max() < 0.06
    wall = (points[:, 2] > 1.0) & ~mine & (np.abs(points[:, 0] - 1800) < 25) & (points[:, 1] > 905)
    assert wall.sum() > 100
    assert np.abs(points[wall, 1] - 925.0).max() < 0.08


def test_sweeps_differ_only_by_their_generator(renderer: SceneRenderer) -> None:
    world = snapshot(agent(5, "vehicle.car", 10.0, 2.0, 0.0, (4.6, 1.9, 1.6)))
    first, again, other = (renderer.sweep(world, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.points, again.points)
    assert len(first.points) != len(other.points) or not np.array_equal(first.points, other.points)


def test_night_haze_and_seed_change_the_picture(rig: Rig) -> None:
    world = snapshot(agent(1, "vehicle.car", 20.0, 2.0, 0.0, (4.6, 1.9, 1.6)))
    looks = {
        "day": Appearance(),
        "night": Appearance(sun_elevation_deg=-10),
        "fog": Appearance(haze_m=15),
        "seed": Appearance(seed=5),
    }
    pictures = {}
    for name, appearance in looks.items():
        with SceneRenderer(street(), appearance, rig) as made:
            pictures[name] = made.images(world)["CAM_FRONT"].astype(float)
    assert pictures["night"].mean() < 0.4 * pictures["day"].mean()
    assert pictures["fog"][:150].std() < pictures["day"][:150].std()
    assert np.abs(pictures["seed"] - pictures["day"]).mean() > 1


def test_the_software_display_draws_the_same_scene(renderer: SceneRenderer, rig: Rig) -> None:
    world = snapshot(agent(7, BOX, 12.0, 1.0, TURN, (4.0, 1.8, 1.6)))
    with SceneRenderer(street(), Appearance(), rig, Display.SOFTWARE) as plain:
        assert plain.display is Display.SOFTWARE
        picture = plain.images(world)["CAM_FRONT"]
        seen = plain.ids(world, "CAM_FRONT") == 7
        sweep = plain.sweep(world, np.random.default_rng(0))
    assert overlap(seen, silhouette(world.agents[0], rig.cameras[0], world)) > 0.95
    assert np.corrcoef(picture.ravel(), renderer.images(world)["CAM_FRONT"].ravel())[0, 1] > 0.8
    expected = renderer.sweep(world, np.random.default_rng(0))
    assert abs(len(sweep.points) - len(expected.points)) < 0.02 * len(expected.points)


def test_many_agents_have_many_numbers(renderer: SceneRenderer) -> None:
    crowd = [
        agent(1000 + i, BOX, 6.0 + 2 * (i // 20), -6 + 0.6 * (i % 20), 0.0, (0.3, 0.3, 0.2 + 0.1 * (i // 20)))
        for i in range(400)
    ]
    ids = renderer.ids(snapshot(*crowd), "CAM_FRONT")
    assert len(np.unique(ids)) > 150
    assert set(np.unique(ids)) <= {-1, *range(1000, 1400)}


def test_wrong_wishes_are_refused(renderer: SceneRenderer, rig: Rig) -> None:
    with pytest.raises(WorldError, match="no camera 'CAM_TOP'; it has CAM_FRONT, CAM_BACK"):
        renderer.images({"CAM_TOP": snapshot()})
    with pytest.raises(WorldError, match="no drivable area"):
        SceneRenderer(dataclasses.replace(street(), drivable=()), Appearance(), rig)


def test_traffic_lights_show_their_state(rig: Rig) -> None:
    light = TrafficLight("north", np.array([ORIGIN[0] + 9.0, ORIGIN[1] + 1.0, 2.0]), math.pi, ())
    place = dataclasses.replace(street(), lights=(light,))
    colors = {}
    with SceneRenderer(place, Appearance(), rig) as made:
        dark = made.images(snapshot())["CAM_FRONT"].astype(int)
        for state in (LightState.RED, LightState.YELLOW, LightState.GREEN):
            shown = dataclasses.replace(snapshot(), lights={"north": state})
            picture = made.images(shown)["CAM_FRONT"].astype(int)
            changed = np.argwhere((picture - dark).max(-1) > 60)
            assert 3 < len(changed) < 200
            colors[state] = picture[tuple(changed.T)].mean(0), changed[:, 0].mean()
        assert np.array_equal(made.images(snapshot())["CAM_FRONT"], dark)
        assert (made.sweep(snapshot(), np.random.default_rng(0)).points[:, 2] > 0).any()
    assert colors[LightState.RED][0].argmax() == 0
    assert colors[LightState.GREEN][0].argmax() == 1
    heights = [row for _, row in colors.values()]
    assert heights == sorted(heights)


def test_brakes_shine_and_at_night_lamps_do(rig: Rig) -> None:
    ahead = agent(1, "vehicle.car", 12.0, 0.0, 0.0, (4.6, 1.9, 1.5), "vehicle.moving")
    red = {}
    for name, appearance in (("day", Appearance()), ("night", Appearance(sun_elevation_deg=-10))):
        with SceneRenderer(street(), appearance, rig) as made:
            for braking in (False, True):
                picture = made.images(snapshot(dataclasses.replace(ahead, braking=braking)))["CAM_FRONT"].astype(int)
                red[name, braking] = int(((picture[..., 0] > 190) & (picture[..., 1] < 110)).sum())
            parked = dataclasses.replace(ahead, attribute="vehicle.parked")
            lit = made.images(snapshot(parked))["CAM_FRONT"].astype(int)
            assert ((lit[..., 0] > 190) & (lit[..., 1] < 110)).sum() == 0
    assert red["day", True] > red["day", False] + 5
    assert red["night", False] > 5
    assert red["night", True] > 5


def test_walkers_move_their_legs(renderer: SceneRenderer) -> None:
    person = agent(3, "human.pedestrian.adult", 13.0, 0.0, math.pi / 2, (0.7, 0.6, 1.75), "pedestrian.moving")
    masks = [
        renderer.ids(snapshot(dataclasses.replace(person, walked=walked)), "CAM_FRONT") == 3
        for walked in (0.0, 0.2, 0.6)
    ]
    assert all(mask.sum() > 100 for mask in masks)
    assert all((first != second).sum() > 5 for first, second in pairwise(masks))


def test_every_shape_has_few_enough_faces_for_its_numbers() -> None:
    for category in (*DETECTION_CLASS, "animal", "static_object.bicycle_rack", "human.pedestrian.stroller"):
        for size in ((0.4, 0.4, 0.9), (4.6, 1.9, 1.6), (12.0, 3.0, 3.6)):
            solid = shape(shape_key(agent(1, category, 0.0, 0.0, 0.0, size)))
            mesh = solid_mesh([solid])
            assert 0 < len(mesh.planes) <= FACES_PER_AGENT, (category, size)
            assert np.isfinite(mesh.vertices).all()
