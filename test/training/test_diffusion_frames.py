"""Targets of DiffusionDrive from a made-up scene, and from shapes drawn by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
import torch

from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.scene_source import SceneSource
from distilldrive_ros.geometry.poses import inverse, planar_pose
from distilldrive_ros.models.diffusiondrive.config import diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.scene.errors import ConfigurationError, SensorDataError
from distilldrive_ros.scene.objects import CLASS_NAMES
from distilldrive_ros.training.diffusion.batch import join_frames
from distilldrive_ros.training.diffusion.frames import DiffusionFrames
from distilldrive_ros.training.diffusion.imitation import ImitationStage
from distilldrive_ros.training.diffusion.map_picture import PEDESTRIAN, ROAD, VEHICLE, PictureSize, map_picture
from distilldrive_ros.training.diffusion.surroundings import VEHICLES, boxes_in_base, map_shapes, nearest_vehicles
from distilldrive_ros.training.stages.stage import total

CONFIG = diffusiondrive_tiny()
SIZE = PictureSize(128, 32.0)


@pytest.fixture(scope="module")
def frames(source: SceneSource) -> DiffusionFrames:
    return DiffusionFrames([source], CONFIG)


def test_a_box_covers_the_cells_under_it() -> None:
    """4 m x 2 m, 10 m ahead and 5 m to the left, along x: 16 rows and 8 columns of 0.25 m."""
    box = np.array([[10.0, 5.0, 0.0, 4.0, 2.0, 1.5, 0.0]])
    picture = map_picture(None, np.eye(4), map_shapes(box, np.array([0])), SIZE)
    rows, columns = np.nonzero(picture == VEHICLE)
    assert picture.shape == (128, 256)
    assert (rows.min(), rows.max()) == pytest.approx((32, 47), abs=1)
    assert (columns.min(), columns.max()) == pytest.approx((128 + 16, 128 + 23), abs=1)
    assert 16 * 8 <= len(rows) <= 17 * 9  # cells that the outline runs through are painted, too


def test_pedestrians_are_painted_last_and_two_wheelers_not_at_all() -> None:
    place = [12.0, 0.0, 0.0, 4.0, 4.0, 1.5, 0.3]
    classes = np.array([CLASS_NAMES.index(name) for name in ("pedestrian", "car", "bicycle")])
    boxes = np.array([place, place, [20.0, 8.0, 0.0, 2.0, 0.6, 1.5, 0.0]])
    picture = map_picture(None, np.eye(4), map_shapes(boxes, classes), SIZE)
    assert set(np.unique(picture).tolist()) == {0, PEDESTRIAN}


def test_the_map_is_where_the_world_says(source: SceneSource) -> None:
    """Every tenth cell against the road polygons themselves, asked point by point."""
    assert source.expansion is not None
    pose = source.key_frames[2].world_from_base
    picture = map_picture(source.expansion, pose, [], SIZE)
    assert set(np.unique(picture).tolist()) <= {0, 1, 2, 3}
    area = shapely.box(*(pose[:2, 3] - 60), *(pose[:2, 3] + 60))
    road = shapely.union_all(source.expansion.road.near(area))
    walkway = shapely.union_all(source.expansion.walkways.near(area))
    wrong = compared = 0
    for row in range(5, 128, 10):
        for column in range(5, 256, 10):
            if picture[row, column] == 3:
                continue
            x, y = (row + 0.5) * 0.25, (column + 0.5 - 128) * 0.25
            point = shapely.Point((pose[:2, :2] @ [x, y]) + pose[:2, 3])
            if min(road.boundary.distance(point), walkway.boundary.distance(point)) < 0.4:
                continue
            expected = 2 if walkway.contains(point) else ROAD if road.contains(point) else 0
            wrong += int(picture[row, column] != expected)
            compared += 1
    assert compared > 150 and wrong == 0


def test_nearest_vehicles_first() -> None:
    classes = np.array([0, 8, 1, 0, 0])
    boxes = np.zeros((5, 7))
    boxes[:, 0] = [20.0, 1.0, -5.0, 40.0, 10.0]
    boxes[:, 3:7] = [4.0, 2.0, 1.5, 0.5]
    agents, present = nearest_vehicles(boxes, classes, 4, 32.0)
    assert present.tolist() == [True, True, True, False]
    assert agents[:3, 0].tolist() == [-5.0, 10.0, 20.0]
    assert agents[0].tolist() == pytest.approx([-5.0, 0.0, 0.5, 4.0, 2.0])
    assert not agents[3].any()
    only, _ = nearest_vehicles(boxes, classes, 1, 32.0)
    assert only[:, 0].tolist() == [-5.0]


def test_boxes_are_the_annotations_in_base_link(source: SceneSource) -> None:
    frame = source.key_frames[1]
    boxes, classes = boxes_in_base(source.boxes, 1, inverse(frame.world_from_base))
    annotations = [a for a in source.nuscenes.annotations(frame.sample) if a.class_name is not None]
    assert len(annotations) == len(boxes) > 0
    for annotation in annotations:
        local = inverse(frame.world_from_base) @ annotation.world_from_box
        distance = np.abs(boxes[:, :3] - local[:3, 3]).max(axis=1)
        row = int(distance.argmin())
        assert distance[row] < 1e-6 and CLASS_NAMES[classes[row]] == annotation.class_name
        assert math.remainder(boxes[row, 6] - math.atan2(local[1, 0], local[0, 0]), 2 * math.pi) == pytest.approx(0)


def test_frames_hold_what_inference_sees(frames: DiffusionFrames, source: SceneSource) -> None:
    batch = frames[0]
    assert len(frames) == len(source.key_frames)
    assert batch.camera.shape == (1, 3, CONFIG.image_height, CONFIG.image_width)
    assert batch.lidar.shape == (1, 1, CONFIG.lidar_cells, CONFIG.lidar_cells)
    assert 0 <= float(batch.camera.min()) <= float(batch.camera.max()) <= 1
    assert float(batch.camera.std()) > 0.02 and float(batch.lidar.sum()) > 1
    assert batch.status[0, :4].sum() == 1 and batch.status[0, 4] > 1
    assert batch.bev.shape == (1, CONFIG.lidar_cells // 2, CONFIG.lidar_cells)
    # Six key frames are 2.5 s: no drive goes on for 4 s.
    assert not batch.known.any()
    end = inverse(source.key_frames[0].world_from_base) @ source.key_frames[4].world_from_base
    assert batch.trajectory[0, 3, :2].tolist() == pytest.approx(end[:2, 3].tolist(), abs=0.2)
    in_reach = [
        a
        for a in source.nuscenes.annotations(source.key_frames[0].sample)
        if a.class_name in VEHICLES
        and np.abs((inverse(source.key_frames[0].world_from_base) @ a.world_from_box)[:2, 3]).max() <= 32
    ]
    assert int(batch.agent_present.sum()) == min(len(in_reach), CONFIG.num_agents)


def test_the_stage_trains_on_them(frames: DiffusionFrames) -> None:
    torch.manual_seed(0)
    stage = ImitationStage(untrained_network(CONFIG, torch.Generator().manual_seed(0)), seed=0).train()
    batch = join_frames([frames[0], frames[3]])
    losses = stage.compute_losses(replace(batch, known=torch.tensor([True, False])))
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert losses["pose_0"].item() > 0


def test_bad_input_is_named(source: SceneSource, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="plans 6 points"):
        DiffusionFrames([source], replace(CONFIG, num_points=6))
    tables = source.nuscenes.tables.dataroot / VERSION
    elsewhere = tmp_path / "root"
    elsewhere.mkdir()
    (elsewhere / VERSION).symlink_to(tables)
    bare = SceneSource(NuScenes(elsewhere, VERSION), source.scene, None)
    with pytest.raises(SensorDataError, match="cannot be read"):
        DiffusionFrames([bare], CONFIG)[0]


def test_moving_the_vehicle_moves_the_picture() -> None:
    """Half a turn brings what was behind before it."""
    behind = np.array([[-10.0, 0.0, 0.0, 4.0, 2.0, 1.5, 0.0]])
    assert not map_picture(None, np.eye(4), map_shapes(behind, np.array([0])), SIZE).any()
    turned = inverse(planar_pose(0.0, 0.0, math.pi))
    moved = behind.copy()
    moved[0, :2] = (turned @ [*behind[0, :3], 1.0])[:2]
    picture = map_picture(None, np.eye(4), map_shapes(moved, np.array([0])), SIZE)
    assert (picture == VEHICLE).sum() > 100
