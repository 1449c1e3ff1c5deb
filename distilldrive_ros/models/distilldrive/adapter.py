"""Between the vehicle and the network: SensorFrame to tensors, raw outputs to candidates, objects and map.

The network lives in its LiDAR frame (x right, y forward); this is the only place that converts to `base_link`.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.geometry.poses import inverse, rotate_vectors, transform_points, yaw_of
from distilldrive_ros.geometry.trajectories import speeds
from distilldrive_ros.models.distilldrive.config import NUM_COMMANDS, DistillDriveConfig, MotionConfig
from distilldrive_ros.models.distilldrive.decoding import decode_map, decode_objects, plan_positions
from distilldrive_ros.models.distilldrive.frames import network_frame
from distilldrive_ros.models.distilldrive.outputs import StudentInputs, StudentOutputs
from distilldrive_ros.models.distilldrive.preprocess import image_geometry, prepare_images, projection_matrix
from distilldrive_ros.models.distilldrive.rescoring import RescoreMode, rescore_command
from distilldrive_ros.models.set_checks import image_data, require_calibrated, require_pose, required_camera
from distilldrive_ros.scene.candidates import ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.objects import CLASS_NAMES, ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, SensorFrame
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap

Matrix = NDArray[np.float64]

_NANOSECOND = 1e-9
_SUBSTEPS = 16


@dataclass(frozen=True)
class PlacedSet:
    """A set, and where the network's frame sits on the vehicle."""

    base_from_network: Matrix
    frame: SensorFrame


@dataclass(frozen=True)
class PreparedSet(PlacedSet):
    """A set ready for the network: its tensors too, of one stream."""

    inputs: StudentInputs


@dataclass(frozen=True)
class DecodeSettings:
    """What to report: detections and polylines from these class scores (0 to 1) on; how to rescore plans."""

    min_object_score: float = 0.2
    min_map_score: float = 0.3
    rescore: RescoreMode = RescoreMode.PARITY


def prepare_inputs(frame: SensorFrame, config: DistillDriveConfig, executor: Executor) -> PreparedSet:
    """Decode and place all cameras of the configuration.

    A zero-filled camera becomes an image of the mean colour. Ego motion between a camera's stamp and the anchor
    stamp is part of its projection matrix.

    Raises:
        SensorDataError: a camera is absent, its image cannot be used, or a matrix is not finite.
    """
    cameras = [required_camera(frame, name) for name in config.cameras]
    images, sizes = prepare_images(
        [image_data(camera) for camera in cameras], config.image_width, config.image_height, executor
    )
    require_pose("world_from_base", frame.world_from_base)
    if frame.lidar is not None:
        require_pose("base_from_lidar", frame.lidar.base_from_lidar)
    base_from_network = network_frame(frame.lidar)
    world_from_network = frame.world_from_base @ base_from_network
    projections = [
        _projection(camera, size, world_from_network, config) for camera, size in zip(cameras, sizes, strict=True)
    ]
    image_size = torch.tensor([config.image_width, config.image_height], dtype=torch.float32)
    inputs = StudentInputs(
        images[None],
        torch.from_numpy(np.stack(projections).astype(np.float32))[None],
        image_size.expand(1, config.num_cameras, 2),
        torch.tensor([frame.stamp_ns * _NANOSECOND], dtype=torch.float64),
        torch.from_numpy(world_from_network)[None],
    )
    return PreparedSet(base_from_network, frame, inputs)


def plan_candidates(
    outputs: StudentOutputs, prepared: PlacedSet, config: DistillDriveConfig, rescore: RescoreMode, model_id: str
) -> TrajectoryCandidates:
    """All modes of all commands as trajectories of base_link. Every command's branch is rescored as if it were
    driven.

    Mode indices are command-major: index = modes x command + mode.
    """
    branches = [rescore_command(outputs, command, config.motion.ego_modes, rescore) for command in range(NUM_COMMANDS)]
    logits = torch.cat([branch.logits for branch in branches])
    score_type = ScoreType.SIGMOID if rescore is RescoreMode.OFF else ScoreType.RESCORED
    base_from_network, offsets = prepared.base_from_network, outputs.motion.plan_offsets[0]
    return mode_candidates(logits, offsets, prepared.frame, base_from_network, config.motion, score_type, model_id)


def mode_candidates(
    logits: Tensor,
    offsets: Tensor,
    frame: SensorFrame,
    base_from_network: Matrix,
    motion: MotionConfig,
    score_type: ScoreType,
    model_id: str,
) -> TrajectoryCandidates:
    """All ego modes as trajectories of base_link: logits [K], offsets [K, steps, 2] m per step in the network's frame,
    K command-major.
    """
    positions = _numpy(plan_positions(offsets))
    xy, yaw = base_trajectories(positions, base_from_network)
    return TrajectoryCandidates(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        inference_stamp_ns=0,
        model_id=model_id,
        score_type=score_type,
        active_command=frame.command,
        degraded=frame.degraded,
        time_step=motion.step_seconds,
        mode=np.arange(motion.num_ego_tokens, dtype=np.uint32),
        command=np.repeat(np.arange(NUM_COMMANDS, dtype=np.uint8), motion.ego_modes),
        score=logits.sigmoid().cpu().numpy().astype(np.float32),
        x=xy[..., 0].astype(np.float32),
        y=xy[..., 1].astype(np.float32),
        yaw=yaw.astype(np.float32),
        speed=speeds(xy, motion.step_seconds).astype(np.float32),
    )


def base_trajectories(positions: Matrix, base_from_network: Matrix) -> tuple[Matrix, Matrix]:
    """Trajectories of the LiDAR origin, as the network predicts them, to those of base_link.

    positions [K, S, 2] in the network's frame -> positions [K, S, 2] and yaw [K, S] in base_link. The rear axle is
    drawn along behind the LiDAR like a trailer (it cannot slip sideways), in small sub-steps: exact enough on arcs,
    calm where the vehicle stands and the points merely jitter, right when it reverses.
    """
    path = transform_points(base_from_network, positions)
    lever = base_from_network[:2, 3]
    length, angle = np.hypot(*lever), np.arctan2(lever[1], lever[0])
    rear = np.zeros((len(path), 2))
    front = np.broadcast_to(lever, rear.shape)
    direction = np.full(len(path), angle)
    rears, directions = [], []
    for target in np.moveaxis(path, 1, 0):
        for share in np.arange(1, _SUBSTEPS + 1) / _SUBSTEPS:
            point = front + share * (target - front)
            direction = np.arctan2(point[:, 1] - rear[:, 1], point[:, 0] - rear[:, 0])
            rear = point - length * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
        front = target
        rears.append(rear)
        directions.append(direction)
    return np.stack(rears, axis=1), wrapped(np.stack(directions, axis=1) - angle)


def object_predictions(
    outputs: StudentOutputs, prepared: PlacedSet, config: DistillDriveConfig, min_score: float, model_id: str
) -> ObjectPredictions:
    """Detections with a class score of at least `min_score`, in base_link, best first."""
    decoded = decode_objects(outputs, config.detection.num_output)
    chosen = decoded.class_scores >= min_score
    boxes, paths = _numpy(decoded.boxes[chosen]), _numpy(decoded.trajectories[chosen])
    heights = np.broadcast_to(boxes[:, None, None, 2:3], (*paths.shape[:3], 1))
    base_from_network = prepared.base_from_network
    centres = transform_points(base_from_network, boxes[:, :3])
    velocities = rotate_vectors(base_from_network, boxes[:, 7:10])[:, :2]
    yaw = wrapped(boxes[:, 6] + yaw_of(base_from_network))
    base_boxes = np.concatenate([centres, boxes[:, 3:6], yaw[:, None]], axis=1)
    mode_xy = transform_points(base_from_network, np.concatenate([paths, heights], axis=-1))[..., :2].astype(np.float32)
    mode_scores = _numpy(decoded.trajectory_scores[chosen]).astype(np.float32)
    scores, labels, ids = (t[chosen].tolist() for t in (decoded.scores, decoded.labels, decoded.ids))
    objects = tuple(
        ObjectPrediction(
            id=ids[i],
            class_id=CLASS_NAMES[labels[i]],
            score=scores[i],
            box=base_boxes[i],
            velocity=velocities[i],
            time_step=config.motion.step_seconds,
            mode_scores=mode_scores[i],
            mode_xy=mode_xy[i],
        )
        for i in range(len(ids))
    )
    return ObjectPredictions(prepared.frame.stamp_ns, prepared.frame.frame_id, model_id, objects)


def vector_map(
    outputs: StudentOutputs, prepared: PlacedSet, config: DistillDriveConfig, min_score: float, model_id: str
) -> VectorMap:
    """Polylines with a score of at least `min_score`, on the ground of base_link, best first."""
    decoded = decode_map(outputs.map, config.map.num_output)
    chosen = decoded.scores >= min_score
    points = _numpy(decoded.vectors[chosen])
    ground = np.full((*points.shape[:2], 1), config.map.ground_height)
    moved = transform_points(prepared.base_from_network, np.concatenate([points, ground], axis=-1))
    xy = moved[..., :2].astype(np.float32)
    scores, labels = decoded.scores[chosen].tolist(), decoded.labels[chosen].tolist()
    polylines = tuple(_polyline(PolylineKind(labels[i]), scores[i], xy[i]) for i in range(len(labels)))
    return VectorMap(prepared.frame.stamp_ns, prepared.frame.frame_id, model_id, polylines)


def wrapped(angles: Matrix) -> Matrix:
    """Angles in [-pi, pi)."""
    return np.asarray(np.remainder(angles + np.pi, 2 * np.pi) - np.pi)


def _numpy(tensor: torch.Tensor) -> Matrix:
    """Float64 copy on the CPU."""
    return np.asarray(tensor.double().cpu().numpy())


def _polyline(kind: PolylineKind, score: float, xy: NDArray[np.float32]) -> MapPolyline:
    """A crossing is an area: its outline is closed."""
    closed = np.concatenate([xy, xy[:1]]) if kind is PolylineKind.CROSSING else xy
    return MapPolyline(kind, score, closed)


def _projection(
    camera: CameraFrame, size: tuple[int, int], world_from_network: Matrix, config: DistillDriveConfig
) -> Matrix:
    width, height = size if camera.status != CameraStatus.ZERO_FILLED else (camera.width, camera.height)
    require_calibrated(camera, width, height)
    require_pose(f"camera {camera.name}: world_from_base", camera.world_from_base)
    geometry = image_geometry(width, height, config.image_width, config.image_height)
    camera_from_network = inverse(camera.world_from_base @ camera.base_from_camera) @ world_from_network
    return projection_matrix(geometry, camera.intrinsics, camera_from_network)
