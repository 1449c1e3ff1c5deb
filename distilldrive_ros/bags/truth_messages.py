"""What a scene's key frames truly hold, as messages: identity, command, boxes with futures, ego path, map."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.cdr_templates import MessageTemplate, placeholder_numbers, placeholder_stamp_ns
from distilldrive_ros.bags.object_cdr import GROUND_TRUTH, empty_object_predictions, object_predictions_cdr
from distilldrive_ros.bags.sensor_messages import ros_order
from distilldrive_ros.bags.topics import BASE_FRAME
from distilldrive_ros.bags.typed_messages import BAG
from distilldrive_ros.datasets.boxes import SceneBoxes
from distilldrive_ros.datasets.records import Sample, Scene
from distilldrive_ros.geometry.poses import inverse, quaternion_from_rotation
from distilldrive_ros.messages.records import command_to_message, sample_info_to_message
from distilldrive_ros.messages.scene_elements import vector_map_to_message
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sample_info import DrivingCommand, SampleInfo
from distilldrive_ros.scene.vector_map import MapPolyline, VectorMap

Array = NDArray[np.float64]

PATH_TYPE = "nav_msgs/msg/Path"


def command_message(stamp_ns: int, command: Command) -> Any:
    """distilldrive_ros/DrivingCommand."""
    return command_to_message(BAG, DrivingCommand(stamp_ns, BASE_FRAME, command))


def sample_message(stamp_ns: int, dataset: str, scene: Scene, sample: Sample) -> Any:
    """distilldrive_ros/SampleInfo."""
    info = SampleInfo(
        stamp_ns, BASE_FRAME, dataset, scene.name, scene.token, sample.token, sample.index, scene.description
    )
    return sample_info_to_message(BAG, info)


def objects_cdr(stamp_ns: int, boxes: SceneBoxes, index: int, world_from_base: Array) -> bytes:
    """distilldrive_ros/ObjectPredictions of key frame `index` in base_link, serialised."""
    rows = boxes.of_sample(index)
    base_from_world = inverse(world_from_base)
    turn, shift = base_from_world[:3, :3], base_from_world[:3, 3]
    geometry = np.concatenate(
        [
            boxes.centers[rows] @ turn.T + shift,
            _turned(turn, boxes.rotations[rows]),
            boxes.sizes[rows],
            boxes.velocities[rows] @ turn.T,
        ],
        axis=1,
    )
    futures = (boxes.futures[rows] @ turn.T + shift)[..., :2]
    head = empty_object_predictions(BAG.header(stamp_ns, BASE_FRAME))
    return object_predictions_cdr(head, boxes.classes[rows], boxes.ids[rows], geometry, futures)


def _turned(rotation: Array, wxyz: Array) -> Array:
    """Quaternions (N, 4) x, y, z, w of `rotation` times the given ones (w, x, y, z)."""
    w, x, y, z = quaternion_from_rotation(rotation)
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return ros_order(wxyz @ left.T)


@lru_cache(maxsize=64)
def _path_template(points: int) -> MessageTemplate:
    """nav_msgs/Path of that many poses; stamps: header, then poses; groups: x, y, z, qx, qy, qz, qw of each pose."""
    poses = []
    for index in range(points):
        marks = placeholder_numbers(index, 7)
        head = BAG.header(placeholder_stamp_ns(index + 1), BASE_FRAME)
        poses.append(BAG.make("geometry_msgs/msg/PoseStamped", header=head, pose=BAG.pose(marks[:3], marks[3:])))
    message = BAG.make(PATH_TYPE, header=BAG.header(placeholder_stamp_ns(0), BASE_FRAME), poses=poses)
    return MessageTemplate(message, PATH_TYPE, [7] * points, points + 1)


def path_cdr(stamp_ns: int, stamps_ns: NDArray[np.int64], translations: Array, rotations: Array) -> bytearray:
    """nav_msgs/Path in base_link of the first stamp; every pose has the time at which it is reached.

    Args:
        stamp_ns: key frame.
        stamps_ns: (T,).
        translations: (T, 3) m.
        rotations: (T, 4) quaternions (w, x, y, z).
    """
    values = np.concatenate([translations, ros_order(rotations)], axis=1)
    return _path_template(len(stamps_ns)).fill([stamp_ns, *stamps_ns.tolist()], *values.tolist())


def map_message(stamp_ns: int, polylines: tuple[MapPolyline, ...]) -> Any:
    """distilldrive_ros/VectorMap in base_link."""
    return vector_map_to_message(BAG, VectorMap(stamp_ns, BASE_FRAME, GROUND_TRUTH, polylines))
