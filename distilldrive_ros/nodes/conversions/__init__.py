"""Our own messages of rclpy from the dataclasses of `scene/` and back: `<thing>_to_message`, `<thing>_from_message`.

What they hold is decided in `distilldrive_ros.messages`, for bags and graphs alike. Standard messages are read by
`sync/message_inputs.py`, `poses.py` and `raw_images.py`.
"""

from __future__ import annotations

from functools import partial

from distilldrive_ros.messages import plans, records, scene_elements
from distilldrive_ros.messages.plans import candidates_from_message, plan_from_message
from distilldrive_ros.messages.records import (
    command_from_message,
    inference_stats_from_message,
    sample_info_from_message,
)
from distilldrive_ros.messages.scene_elements import objects_from_message, vector_map_from_message
from distilldrive_ros.nodes.conversions.factory import ROS
from distilldrive_ros.nodes.conversions.sensor_frames import (
    ego_status_from_message,
    ego_status_to_message,
    sensor_frame_from_message,
    sensor_frame_to_message,
)

candidates_to_message = partial(plans.candidates_to_message, ROS)
plan_to_message = partial(plans.plan_to_message, ROS)
objects_to_message = partial(scene_elements.objects_to_message, ROS)
vector_map_to_message = partial(scene_elements.vector_map_to_message, ROS)
command_to_message = partial(records.command_to_message, ROS)
sample_info_to_message = partial(records.sample_info_to_message, ROS)
inference_stats_to_message = partial(records.inference_stats_to_message, ROS)

__all__ = [
    "candidates_from_message",
    "candidates_to_message",
    "command_from_message",
    "command_to_message",
    "ego_status_from_message",
    "ego_status_to_message",
    "inference_stats_from_message",
    "inference_stats_to_message",
    "objects_from_message",
    "objects_to_message",
    "plan_from_message",
    "plan_to_message",
    "sample_info_from_message",
    "sample_info_to_message",
    "sensor_frame_from_message",
    "sensor_frame_to_message",
    "vector_map_from_message",
    "vector_map_to_message",
]
