"""Pictures: what is drawn lands on its pixel, bad images are refused, real boxes sit on real cars."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distilldrive_ros.geometry.cameras import project_points
from distilldrive_ros.geometry.poses import inverse, planar_pose, pose_matrix
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.visualization.colors import GROUND_TRUTH
from distilldrive_ros.visualization.overlay import OverlayStyle, camera_from_anchor_base, decode_image, draw_overlay

GREY = (100, 100, 100)
BARE = OverlayStyle(caption=False)
Maker = Callable[..., CameraFrame]


def changed(picture: Image.Image) -> np.ndarray:
    """Which pixels (h, w) differ from the grey photograph."""
    return np.asarray((np.abs(np.asarray(picture, np.int32) - 100) > 6).any(axis=2))


def pixel_of(camera: CameraFrame, point: list[float], scale: float = 1.0) -> tuple[int, int]:
    """Where a point of base_link is in the picture."""
    pixels, _ = project_points(camera.intrinsics, inverse(camera.base_from_camera), [point])
    return round(pixels[0, 0] * scale), round(pixels[0, 1] * scale)


def test_nothing_to_draw_leaves_the_photograph(make_camera: Maker) -> None:
    picture = draw_overlay(make_camera(), np.eye(4), None, None, None, width=800, style=BARE)
    assert picture.size == (800, 450) and not changed(picture).any()


def test_result_has_the_wanted_width(make_camera: Maker) -> None:
    assert draw_overlay(make_camera(), np.eye(4), None, None, None, width=401).size == (401, 226)
    with pytest.raises(ValueError, match="positive"):
        draw_overlay(make_camera(), np.eye(4), None, None, None, width=0)


def test_selected_path_lies_on_its_ground(make_camera: Maker, plan: PlanCandidates) -> None:
    camera = make_camera()
    picture = draw_overlay(camera, np.eye(4), plan, None, None, width=400, style=BARE)
    on_path = picture.getpixel(pixel_of(camera, [12.0, 0.0, 0.0], 0.5))
    assert on_path[0] > 180 and on_path[2] < 120, "amber over grey"
    assert picture.getpixel(pixel_of(camera, [12.0, 1.2, 0.0], 0.5)) == GREY, "between two candidates"
    assert picture.getpixel(pixel_of(camera, [20.0, 0.0, 0.0], 0.5)) == GREY, "beyond the end"


def test_a_camera_that_looks_backward_sees_no_path(make_camera: Maker, plan: PlanCandidates) -> None:
    backward = make_camera().base_from_camera.copy()
    backward[:3, :3] = [[0, 0, -1], [1, 0, 0], [0, -1, 0]]
    backward[:3, 3] = [-1.0, 0.0, 1.5]
    picture = draw_overlay(make_camera(base_from_camera=backward), np.eye(4), plan, None, None, width=800, style=BARE)
    assert not changed(picture).any()


def test_box_edges_are_drawn_at_their_pixels(make_camera: Maker, objects: ObjectPredictions) -> None:
    camera = make_camera()
    mask = changed(draw_overlay(camera, np.eye(4), None, objects, None, width=800, style=BARE))
    for corner in ([17.25, 4.95, 0.0], [12.75, 3.05, 1.6], [12.75, 4.95, 0.0]):
        x, y = pixel_of(camera, corner)
        assert mask[y - 2 : y + 3, x - 2 : x + 3].any(), corner
    assert not mask[:, :100].any()


def test_weak_objects_and_bad_boxes_are_left_out(make_camera: Maker, objects: ObjectPredictions) -> None:
    weak = replace(objects.objects[0], score=0.1)
    bad = replace(objects.objects[1], box=np.full(7, np.nan))
    picture = draw_overlay(
        make_camera(), np.eye(4), None, replace(objects, objects=(weak, bad)), None, width=800, style=BARE
    )
    assert not changed(picture).any()


def test_ground_truth_has_its_own_colour(make_camera: Maker, objects: ObjectPredictions) -> None:
    picture = draw_overlay(make_camera(), np.eye(4), None, None, None, objects, width=800, style=BARE)
    pixels = np.asarray(picture, np.float64)[changed(picture)]
    strongest = pixels[np.argmax(pixels[:, 1] - pixels[:, 0])]
    assert strongest[1] - strongest[0] > 0.5 * (GROUND_TRUTH[1] - GROUND_TRUTH[0])


def test_box_across_the_near_plane_is_clipped_not_wrapped(make_camera: Maker, objects: ObjectPredictions) -> None:
    beside = replace(objects.objects[0], box=np.array([1.5, 2.0, 0.8, 8.0, 1.5, 1.6, 0.0]))
    picture = draw_overlay(
        make_camera(), np.eye(4), None, replace(objects, objects=(beside,)), None, width=800, style=BARE
    )
    mask = changed(picture)
    assert mask.any() and not mask[:, 400:].any(), "a box on the left shows on the left only"


def test_map_lines_are_drawn(make_camera: Maker, vector_map: VectorMap) -> None:
    camera = make_camera()
    mask = changed(draw_overlay(camera, np.eye(4), None, None, vector_map, width=800, style=BARE))
    x, y = pixel_of(camera, [16.0, -5.0, 0.0])
    assert mask[y - 2 : y + 3, x - 2 : x + 3].any()


def test_static_things_stay_on_their_pixels_while_the_vehicle_moves(make_camera: Maker) -> None:
    anchor = planar_pose(100.0, 50.0, 0.7)
    moved = anchor @ planar_pose(0.9, 0.05, 0.02)
    point_anchor = np.array([15.0, 4.0, 1.0, 1.0])
    expected = inverse(make_camera().base_from_camera) @ inverse(moved) @ anchor @ point_anchor
    found = camera_from_anchor_base(make_camera(world_from_base=moved), anchor) @ point_anchor
    np.testing.assert_allclose(found, expected, atol=1e-9)
    still = camera_from_anchor_base(make_camera(world_from_base=anchor), anchor) @ point_anchor
    assert abs(found[2] - still[2]) > 0.5, "0.9 m of driving counts"


def test_corrupt_image_is_one_clear_error(make_camera: Maker) -> None:
    camera = make_camera()
    for data in (camera.data[:200], np.zeros(50, np.uint8), np.zeros(0, np.uint8)):
        with pytest.raises(SensorDataError, match=r"CAM_FRONT.*cannot be decoded"):
            draw_overlay(replace(camera, data=data), np.eye(4), None, None, None)


def test_wrong_size_is_refused(make_camera: Maker) -> None:
    with pytest.raises(SensorDataError, match=r"800, 450.*1600, 900"):
        decode_image(make_camera(width=1600, height=900))
    with pytest.raises(SensorDataError, match="rgb8"):
        decode_image(make_camera(encoding="rgb8"))


def test_raw_pixels_are_taken(make_camera: Maker) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8)
    picture = decode_image(make_camera(encoding="rgb8", width=3, height=2, data=pixels))
    assert np.asarray(picture).ravel().tolist() == pixels.tolist()


def test_caption_says_when_an_image_is_old_or_missing(make_camera: Maker) -> None:
    fresh = draw_overlay(make_camera(), np.eye(4), None, None, None, width=800)
    held = draw_overlay(make_camera(status=CameraStatus.HELD), np.eye(4), None, None, None, width=800)
    none = draw_overlay(make_camera(status=CameraStatus.ZERO_FILLED), np.eye(4), None, None, None, width=800)
    widths = [np.flatnonzero(changed(p)[3]).max() for p in (fresh, held, none)]
    assert widths[0] < widths[1] < widths[2]


def read_table(root: Path, name: str) -> dict[str, Any]:
    """A nuScenes table by token."""
    rows = json.loads((root / "v1.0-mini" / f"{name}.json").read_text(encoding="utf-8"))
    return {row["token"]: row for row in rows}


def test_real_boxes_are_projected_as_global_to_ego_to_camera(shared_dir: Path) -> None:
    """Through `camera_from_anchor_base`, real annotations land where the chain of the devkit puts them."""
    from scipy.spatial.transform import Rotation

    root = shared_dir / "data" / "nuscenes-sample"
    tables = {
        n: read_table(root, n) for n in ("sample_data", "ego_pose", "calibrated_sensor", "sensor", "sample_annotation")
    }
    centres = np.array([row["translation"] for row in tables["sample_annotation"].values()])

    def undo(points: np.ndarray, row: dict[str, Any]) -> np.ndarray:
        return np.asarray(Rotation.from_quat(np.roll(row["rotation"], -1)).inv().apply(points - row["translation"]))

    rows = [
        (tables["calibrated_sensor"][d["calibrated_sensor_token"]], tables["ego_pose"][d["ego_pose_token"]])
        for d in tables["sample_data"].values()
    ]
    channel = [tables["sensor"][calibration["sensor_token"]]["channel"] for calibration, _ in rows]
    anchor_row = rows[channel.index("LIDAR_TOP")][1]
    anchor = pose_matrix(anchor_row["translation"], anchor_row["rotation"])
    in_anchor = undo(centres, anchor_row)
    for name, (calibration, ego) in zip(channel, rows, strict=True):
        if name == "LIDAR_TOP":
            continue
        camera = CameraFrame(
            name, 0, CameraStatus.FRESH, "jpeg", 1600, 900, np.zeros(0, np.uint8),
            np.array(calibration["camera_intrinsic"]),
            pose_matrix(calibration["translation"], calibration["rotation"]),
            pose_matrix(ego["translation"], ego["rotation"]),
        )  # fmt: skip
        expected = undo(undo(centres, ego), calibration)
        found = (
            in_anchor @ camera_from_anchor_base(camera, anchor)[:3, :3].T
            + camera_from_anchor_base(camera, anchor)[:3, 3]
        )
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_object_without_future_is_drawn(make_camera: Maker, objects: ObjectPredictions) -> None:
    bare: ObjectPrediction = replace(
        objects.objects[0], mode_scores=np.zeros(0, np.float32), mode_xy=np.zeros((0, 0, 2), np.float32)
    )
    picture = draw_overlay(
        make_camera(), np.eye(4), None, replace(objects, objects=(bare,)), None, width=400, style=BARE
    )
    assert changed(picture).any()
