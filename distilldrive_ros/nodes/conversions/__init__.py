"""Our own messages from the dataclasses of `scene/` and back: `<thing>_to_message` and `<thing>_from_message`.

The only place that knows both. Standard messages: `sync/message_inputs.py`, `nodes/pose_messages.py`.
"""

from __future__ import annotations

from distilldrive_ros.nodes.conversions.arrays import (
    from_array,
    to_array,
)
from distilldrive_ros.nodes.conversions.plans import (
    candidates_from_message,
    candidates_to_message,
    path_message,
    plan_from_message,
    plan_to_message,
)
from distilldrive_ros.nodes.conversions.records import (
    command_from_message,
    command_to_message,
    inference_stats_from_message,
    inference_stats_to_message,
    sample_info_from_message,
    sample_info_to_message,
)
from distilldrive_ros.nodes.conversions.scene_elements import (
    objects_from_message,
    objects_to_message,
    vector_map_from_message,
    vector_map_to_message,
)
from distilldrive_ros.nodes.conversions.sensor_frames import (
    ego_status_from_message,
    ego_status_to_message,
    sensor_frame_from_message,
    sensor_frame_to_message,
)

__all__ = [
    "candidates_from_message",
    "candidates_to_message",
    "command_from_message",
    "command_to_message",
    "ego_status_from_message",
    "ego_status_to_message",
    "from_array",
    "inference_stats_from_message",
    "inference_stats_to_message",
    "objects_from_message",
    "objects_to_message",
    "path_message",
    "plan_from_message",
    "plan_to_message",
    "sample_info_from_message",
    "sample_info_to_message",
    "sensor_frame_from_message",
    "sensor_frame_to_message",
    "to_array",
    "vector_map_from_message",
    "vector_map_to_message",
]
