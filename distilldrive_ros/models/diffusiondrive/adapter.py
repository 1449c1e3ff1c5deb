"""Between the vehicle and the network: SensorFrame to tensors, raw outputs to candidates and objects in base_link."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.geometry.trajectories import speeds
from distilldrive_ros.models.diffusiondrive.canvas import SOURCE_HEIGHT, SOURCE_WIDTH, stitch
from distilldrive_ros.models.diffusiondrive.config import (
    CANVAS_HEIGHT,
    NAVSIM_CAMERAS,
    NUSCENES_CAMERAS,
    STATUS_SIZE,
    DiffusionDriveConfig,
    Variant,
)
from distilldrive_ros.models.diffusiondrive.headings import vehicle_yaw
from distilldrive_ros.models.diffusiondrive.lidar_histogram import height_histogram, points_in_base
from distilldrive_ros.models.diffusiondrive.network import DiffusionOutputs
from distilldrive_ros.models.diffusiondrive.scene_encoder import AgentOutputs
from distilldrive_ros.models.diffusiondrive.selector import SUB_SCORES
from distilldrive_ros.models.diffusiondrive.trajectory_head import PlanOutputs
from distilldrive_ros.models.diffusiondrive.virtual_cameras import RigMapping, map_rig, render
from distilldrive_ros.models.distilldrive.preprocess import decode_image
from distilldrive_ros.models.set_checks import image_data, require_calibrated, require_pose, required_camera
from distilldrive_ros.scene.candidates import ScoreType, TrajectoryCandidates
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, EgoStatus, SensorFrame

COMMAND_INDEX = {Command.LEFT: 0, Command.STRAIGHT: 1, Command.RIGHT: 2, Command.UNKNOWN: 3}
"""Place of a command in the network's one-hot (spec 2.3)."""

_VEHICLE_HEIGHT_M = 1.6
_MIN_VEHICLE_SIDE_M = 0.3
_NUM_PUBLISHED = 32


@dataclass(frozen=True)
class PreparedSet:
    """camera [1, 3, H, W] and lidar [1, 1, L, L] float32 in 0..1, and the set itself."""

    camera: Tensor
    lidar: Tensor
    frame: SensorFrame


class RigCache:
    """Mapping of the last rig seen: it changes only with the calibration."""

    def __init__(self) -> None:
        self._entry: tuple[bytes, RigMapping] | None = None

    def mapping(self, cameras: tuple[CameraFrame, ...]) -> RigMapping:
        """Mapping for these cameras."""
        parts = [np.array([c.width, c.height]).tobytes() + c.intrinsics.tobytes() + c.base_from_camera.tobytes()
                 for c in cameras]  # fmt: skip
        key = b"".join(parts)
        entry = self._entry
        if entry is None or entry[0] != key:
            entry = (key, map_rig(cameras))
            self._entry = entry
        return entry[1]


def prepare_inputs(frame: SensorFrame, config: DiffusionDriveConfig, executor: Executor, rigs: RigCache) -> PreparedSet:
    """Camera picture and LiDAR map of a set.

    Raises:
        SensorDataError: camera or LiDAR are absent or cannot be used, odometry is not finite.
    """
    _require_ego(frame.ego)
    if frame.lidar is None:
        raise SensorDataError(
            "the LiDAR sweep is missing from the set, and this model needs one; check the sensor, or set "
            "lidar_required, so that the synchroniser leaves such sets out"
        )
    require_pose("world_from_base", frame.world_from_base)
    require_pose("base_from_lidar", frame.lidar.base_from_lidar)
    require_pose("world_from_base of the LiDAR", frame.lidar.world_from_base)
    camera = _camera_picture(frame, executor, rigs)
    reduced = F.avg_pool2d(camera[None], CANVAS_HEIGHT // config.image_height)
    histogram = height_histogram(points_in_base(frame, frame.lidar), config.lidar_cells, config.lidar_range)
    return PreparedSet(reduced, torch.from_numpy(histogram)[None], frame)


def status_tensor(frame: SensorFrame, acceleration: float) -> Tensor:
    """Ego status [1, 8]; `acceleration` forward in m/s^2. Unknown sideways motion counts as rolling without slip."""
    ego = frame.ego
    lateral = ego.lateral_speed if math.isfinite(ego.lateral_speed) else 0.0
    sideways = ego.lateral_acceleration
    if not math.isfinite(sideways):
        sideways = ego.speed * ego.yaw_rate if math.isfinite(ego.yaw_rate) else 0.0
    status = torch.zeros(1, STATUS_SIZE)
    status[0, COMMAND_INDEX[frame.command]] = 1.0
    status[0, 4:] = torch.tensor([ego.speed, lateral, acceleration, sideways])
    return status


def plan_candidates(
    plan: PlanOutputs, frame: SensorFrame, config: DiffusionDriveConfig, model_id: str
) -> TrajectoryCandidates:
    """The best candidates by score, at most 32; `mode` is the index among all. All are for the given command."""
    scores = plan.scores[0].nan_to_num(nan=-1.0)
    count = min(_NUM_PUBLISHED, config.num_selected if plan.selector is not None else config.num_candidates)
    best = scores.topk(count).indices
    poses = plan.candidates[0, best]
    points = poses[..., :2]
    yaw = poses[..., 2] if config.variant is Variant.V1 else vehicle_yaw(points)
    xy = points.double().cpu().numpy()
    return TrajectoryCandidates(
        stamp_ns=frame.stamp_ns,
        frame_id=frame.frame_id,
        inference_stamp_ns=0,
        model_id=model_id,
        score_type=ScoreType.SIGMOID,
        active_command=frame.command,
        degraded=frame.degraded,
        time_step=config.step_seconds,
        mode=best.cpu().numpy().astype(np.uint32),
        command=np.full(count, frame.command, np.uint8),
        score=scores[best].cpu().numpy().astype(np.float32),
        x=xy[..., 0].astype(np.float32),
        y=xy[..., 1].astype(np.float32),
        yaw=yaw.cpu().numpy().astype(np.float32),
        speed=speeds(xy, config.step_seconds).astype(np.float32),
    )


def selector_details(plan: PlanOutputs) -> dict[str, str]:
    """Score and five sub-scores of every candidate that reached the last stage, as lines by rank, best first."""
    selector = plan.selector
    if selector is None:
        return {}
    score, order = selector.fine_score[-1][0].sort(descending=True)
    modes = selector.selected[0][order].tolist()
    parts = selector.fine_logits[-1][0].sigmoid()[:, order].T.tolist()
    lines = {}
    for rank, (total, mode, row) in enumerate(zip(score.tolist(), modes, parts, strict=True), start=1):
        values = ", ".join(f"{name} {value:.3f}" for name, value in zip(SUB_SCORES, row, strict=True))
        lines[f"candidate {rank:02d}"] = f"mode {mode}: {total:.3f} ({values})"
    return lines


def object_predictions(agents: AgentOutputs, frame: SensorFrame, min_score: float, model_id: str) -> ObjectPredictions:
    """Vehicles with a score of at least `min_score`, in base_link, best first.

    The network tells no height and no velocity: boxes stand on the ground with a car's height, velocity is NaN.
    """
    scores = agents.logits[0].sigmoid().cpu().numpy()
    states = agents.states[0].double().cpu().numpy()
    objects = []
    for index in np.argsort(-scores, kind="stable"):
        x, y, yaw, length, width = states[index]
        if scores[index] < min_score or min(length, width) < _MIN_VEHICLE_SIDE_M:
            continue
        objects.append(
            ObjectPrediction(
                id=int(index),
                class_id="car",
                score=float(scores[index]),
                box=np.array([x, y, _VEHICLE_HEIGHT_M / 2, length, width, _VEHICLE_HEIGHT_M, yaw]),
                velocity=np.full(2, np.nan),
                time_step=0.5,
                mode_scores=np.zeros(0, np.float32),
                mode_xy=np.zeros((0, 0, 2), np.float32),
            )
        )
    return ObjectPredictions(frame.stamp_ns, frame.frame_id, model_id, tuple(objects))


def semantic_classes(outputs: DiffusionOutputs) -> NDArray[np.int64]:
    """Most likely class [R, C] of every cell of the map."""
    return np.asarray(outputs.bev_semantic[0].argmax(dim=0).cpu().numpy())


def _require_ego(ego: EgoStatus) -> None:
    if not math.isfinite(ego.speed):
        raise SensorDataError("odometry speed is NaN or infinite; check the odometry source")


def _camera_picture(frame: SensorFrame, executor: Executor, rigs: RigCache) -> Tensor:
    """Canvas [3, 256, 1024] in 0..1 of whichever rig the set comes from."""
    native = frame.camera(NAVSIM_CAMERAS[1]) is not None
    cameras = tuple(required_camera(frame, name) for name in (NAVSIM_CAMERAS if native else NUSCENES_CAMERAS))
    images = tuple(executor.map(_pixels, cameras))
    if native:
        _require_native_size(cameras, images)
        return torch.from_numpy(stitch(images))
    for camera, image in zip(cameras, images, strict=True):
        height, width = (camera.height, camera.width) if image is None else image.shape[:2]
        require_calibrated(camera, width, height)
    return render(images, rigs.mapping(cameras))


def _pixels(camera: CameraFrame) -> NDArray[np.uint8] | None:
    """RGB pixels [H, W, 3], None for a camera that was filled with zeros."""
    if camera.status == CameraStatus.ZERO_FILLED:
        return None
    data = image_data(camera)
    return data if data is None or data.ndim == 3 else np.asarray(decode_image(data))


def _require_native_size(cameras: tuple[CameraFrame, ...], images: tuple[NDArray[np.uint8] | None, ...]) -> None:
    for camera, image in zip(cameras, images, strict=True):
        if image is not None and image.shape[:2] != (SOURCE_HEIGHT, SOURCE_WIDTH):
            raise SensorDataError(
                f"camera {camera.name}: the image is {image.shape[1]}x{image.shape[0]} pixels, the model expects "
                f"{SOURCE_WIDTH}x{SOURCE_HEIGHT}; publish the camera's full image"
            )
