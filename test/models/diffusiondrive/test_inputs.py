"""Sensors to the network's inputs: the picture of three cameras, other rigs, the LiDAR map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.datasets.demo_scene.rig import CAMERAS
from distilldrive_ros.geometry.cameras import project_points
from distilldrive_ros.geometry.poses import inverse, planar_pose
from distilldrive_ros.models.diffusiondrive.adapter import NUSCENES_CAMERAS
from distilldrive_ros.models.diffusiondrive.canvas import SLOTS, stitch
from distilldrive_ros.models.diffusiondrive.lidar_histogram import height_histogram, points_in_base
from distilldrive_ros.models.diffusiondrive.virtual_cameras import EXPECTED, map_rig, render
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, LidarFrame, SensorFrame


def test_picture_is_the_mean_of_the_middle_pixels() -> None:
    rng = np.random.default_rng(0)
    images = tuple(rng.integers(0, 256, (1080, 1920, 3), np.uint8) for _ in range(3))
    canvas = stitch(images)
    assert canvas.shape == (3, 256, 1024) and canvas.dtype == np.float32
    left, front, right = (image[28:1052].astype(int) for image in images)
    whole = np.concatenate([left[:, 416:1504], front, right[:, 416:1504]], axis=1)
    assert whole.shape == (1024, 4096, 3)
    for row, column in [(0, 0), (255, 1023), (17, 271), (17, 272), (99, 751), (99, 752), (128, 500)]:
        block = whole[4 * row + 1 : 4 * row + 3, 4 * column + 1 : 4 * column + 3]
        expected = np.floor(block.mean(axis=(0, 1)) + 0.5) / 255
        np.testing.assert_allclose(canvas[:, row, column], expected, atol=1e-7)


def test_camera_without_an_image_is_black() -> None:
    white = np.full((1080, 1920, 3), 255, np.uint8)
    canvas = stitch((white, None, white))
    assert (canvas[:, :, 272:752] == 0).all() and (canvas[:, :, :272] == 1).all() and (canvas[:, :, 752:] == 1).all()


def test_expected_cameras_look_where_they_should() -> None:
    """Middle column of each camera along its yaw; left is +y; the horizon is level; no gap between the cameras."""
    rays = [camera.rays(slot) for slot, camera in zip(SLOTS, EXPECTED, strict=True)]
    angles = [np.rad2deg(np.arctan2(r[..., 1], r[..., 0])) for r in rays]
    for angle, yaw in zip(angles, (55, 0, -55), strict=True):
        assert angle[128].mean() == pytest.approx(yaw, abs=0.5)
        assert (np.diff(angle[128]) < 0).all()
    assert angles[0][128, -1] == pytest.approx(angles[1][128, 0], abs=4)
    assert angles[1][128, -1] == pytest.approx(angles[2][128, 0], abs=4)
    assert (rays[1][0, :, 2] > 0).all() and (rays[1][-1, :, 2] < 0).all()


@pytest.fixture(scope="module")
def frame() -> SensorFrame:
    return next(sensor_frames(np.random.default_rng(0)))


def front_cameras(frame: SensorFrame) -> tuple[CameraFrame, ...]:
    found = tuple(frame.camera(name) for name in NUSCENES_CAMERAS)
    assert all(camera is not None for camera in found)
    return found  # type: ignore[return-value]


def test_other_rig_shows_things_where_the_expected_cameras_would(frame: SensorFrame) -> None:
    """A far light in the rig's images appears at the pixel whose ray points to it."""
    cameras = front_cameras(frame)
    mapping = map_rig(cameras)
    for bearing in (-60.0, -45.0, -20.0, -3.0, 10.0, 28.0, 50.0, 62.0):
        direction = np.array([np.cos(np.deg2rad(bearing)), np.sin(np.deg2rad(bearing)), 0.02])
        images = tuple(spotlight(camera, direction) for camera in cameras)
        canvas = render(images, mapping).sum(dim=0).numpy()
        row, column = np.unravel_index(canvas.argmax(), canvas.shape)
        slot, expected = next(
            (s, e) for s, e in zip(SLOTS, EXPECTED, strict=True) if s.column <= column < s.column + s.width
        )
        ray = expected.rays(slot)[row, column - slot.column]
        cosine = ray @ direction / np.linalg.norm(ray) / np.linalg.norm(direction)
        assert np.rad2deg(np.arccos(min(cosine, 1.0))) < 0.5, bearing


def spotlight(camera: CameraFrame, direction: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Black image with a bright disc where a point far away in that direction of base_link appears."""
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    position = camera.base_from_camera[:3, 3] + 1e4 * direction
    pixels, _ = project_points(camera.intrinsics, inverse(camera.base_from_camera), position[None])
    if np.isfinite(pixels).all():
        u, v = pixels[0]
        rows, columns = np.mgrid[: camera.height, : camera.width]
        image[(columns - u) ** 2 + (rows - v) ** 2 < 16] = 255
    return image


def test_rig_with_the_expected_cameras_gives_the_stitched_picture() -> None:
    """Cameras without distortion, mounted as expected: sampling their images is what `stitch` does."""
    plain = tuple(replace(camera, distortion=(0.0, 0.0, 0.0)) for camera in EXPECTED)
    rng = np.random.default_rng(2)
    images = tuple(rng.integers(0, 256, (1080, 1920, 3), np.uint8) for _ in plain)
    cameras = []
    for expected in plain:
        pose = planar_pose(0.0, 0.0, np.deg2rad(expected.yaw_deg))
        pose[:3, :3] = pose[:3, :3] @ np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
        intrinsics = np.array([[1545.0, 0, 960], [0, 1545, 560], [0, 0, 1]])
        cameras.append(
            CameraFrame("x", 0, CameraStatus.FRESH, "rgb8", 1920, 1080, images[0], intrinsics, pose, np.eye(4))
        )
    canvas = render(images, map_rig(tuple(cameras), plain)).numpy()
    assert np.abs(canvas - stitch(images)).max() < 0.51 / 255 + 1e-3


def test_rig_covers_nearly_the_whole_picture(frame: SensorFrame) -> None:
    """White cameras give a white picture but for the corners that nobody sees."""
    cameras = front_cameras(frame)
    white = tuple(np.full((c.height, c.width, 3), 255, np.uint8) for c in cameras)
    canvas = render(white, map_rig(cameras))
    assert float((canvas > 0.99).float().mean()) > 0.9
    assert float(canvas[:, 60:200].min()) > 0.99


def test_missing_side_is_filled_by_the_neighbour_only_where_it_sees(frame: SensorFrame) -> None:
    cameras = front_cameras(frame)
    white = np.full((cameras[0].height, cameras[0].width, 3), 255, np.uint8)
    canvas = render((None, white, white), map_rig(cameras))
    assert float(canvas[:, 128, :200].max()) == 0.0 and float(canvas[:, 128, 300:].min()) > 0.99


def histogram_of(*points: tuple[float, float, float]) -> NDArray[np.float32]:
    return height_histogram(np.array(points, np.float64).reshape(-1, 3), 256, 32.0)


def test_orientation_of_the_lidar_map() -> None:
    """Spec 13, item 2: x = +10, y = +5 lands at row 168, column 148."""
    counts = histogram_of((10.0, 5.0, 1.0))
    assert counts.shape == (1, 256, 256) and counts[0, 168, 148] == np.float32(0.2) and counts.sum() == np.float32(0.2)


@pytest.mark.parametrize(
    ("x", "y", "cell"),
    [
        (-32.0, -32.0, (0, 0)), (32.0, 32.0, (255, 255)), (31.9999, -32.0, (255, 0)), (0.0, 0.0, (128, 128)),
        (-1e-9, 0.25, (127, 129)), (32.0001, 0.0, None), (0.0, -32.0001, None),
    ],
)  # fmt: skip
def test_edges_of_the_lidar_map(x: float, y: float, cell: tuple[int, int] | None) -> None:
    counts = histogram_of((x, y, 1.0))
    reference, _, _ = np.histogram2d([x], [y], bins=[np.linspace(-32, 32, 257)] * 2)
    np.testing.assert_array_equal(counts[0] > 0, reference > 0)
    assert [tuple(index) for index in np.argwhere(counts[0]).tolist()] == ([] if cell is None else [cell])


def test_heights_and_counts_of_the_lidar_map() -> None:
    assert histogram_of((1, 1, 0.2), (1, 1, -1), (1, 1, 100.0)).sum() == 0
    crowd = histogram_of(*[(1, 1, 0.3)] * 9, *[(2, 1, 99.0)] * 3)
    assert crowd[0, 132, 132] == 1.0 and crowd[0, 136, 132] == np.float32(0.6)


def test_same_as_numpy_on_many_points() -> None:
    points = np.random.default_rng(1).uniform([-40, -40, -1], [40, 40, 3], (20_000, 3)).astype(np.float32)
    kept = points[points[:, 2] > 0.2].astype(np.float64)
    reference, _, _ = np.histogram2d(kept[:, 0], kept[:, 1], bins=[np.linspace(-32, 32, 257)] * 2)
    ours = height_histogram(points.astype(np.float64), 256, 32.0)
    np.testing.assert_allclose(ours[0], np.minimum(reference, 5) / 5, atol=1e-7)


def sweep(frame: SensorFrame, points: NDArray[np.float32]) -> LidarFrame:
    assert frame.lidar is not None
    return replace(frame.lidar, points=points)


def test_points_move_to_base_link_at_the_stamp(frame: SensorFrame) -> None:
    """A point at the LiDAR's origin, seen 2 m of driving earlier, lies 2 m farther back."""
    assert frame.lidar is not None
    origin = np.zeros((1, 5), np.float32)
    here = points_in_base(frame, sweep(frame, origin))
    np.testing.assert_allclose(here[0], frame.lidar.base_from_lidar[:3, 3], atol=1e-9)
    moved = replace(frame, world_from_base=frame.world_from_base @ planar_pose(2.0, 0.0, 0.0))
    np.testing.assert_allclose(points_in_base(moved, sweep(frame, origin))[0], here[0] - [2, 0, 0], atol=1e-9)


def test_points_that_are_not_finite_are_left_out(frame: SensorFrame) -> None:
    points = np.zeros((3, 5), np.float32)
    points[0, 1], points[1, 2] = np.nan, np.inf
    assert len(points_in_base(frame, sweep(frame, points))) == 1


@pytest.mark.parametrize("points", [np.zeros((0, 5)), np.full((4, 5), np.nan)], ids=["empty", "NaN"])
def test_sweep_without_a_point_is_refused(frame: SensorFrame, points: NDArray[np.float64]) -> None:
    with pytest.raises(SensorDataError, match=f"delivered {len(points)} points, none of them finite"):
        points_in_base(frame, sweep(frame, points.astype(np.float32)))


def test_demo_rig_has_the_cameras() -> None:
    assert set(NUSCENES_CAMERAS) <= {camera.channel for camera in CAMERAS}
