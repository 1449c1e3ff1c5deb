"""Topics of a converted bag: names, types and what the publishers offer."""

from __future__ import annotations

from distilldrive_ros.bags.qos import LATCHED_QOS, SENSOR_QOS, STATE_QOS, TopicQos

MAP_FRAME, ODOM_FRAME, BASE_FRAME = "map", "odom", "base_link"

LIDAR = "/lidar/points"
ODOMETRY = "/odometry"
TF = "/tf"
TF_STATIC = "/tf_static"
COMMAND = "/command"
SAMPLE_INFO = "/sample_info"
OBJECTS = "/ground_truth/objects"
PATH = "/ground_truth/path"
MAP = "/ground_truth/map"
ROUTE = "/ground_truth/route"

COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

# One message per key frame, each of which counts until the next: late subscribers get the newest.
_HELD = TopicQos(transient_local=True, depth=1)
_KEY_FRAME = TopicQos(depth=10)

FIXED_TOPICS: dict[str, tuple[str, TopicQos]] = {
    TF_STATIC: ("tf2_msgs/msg/TFMessage", LATCHED_QOS),
    TF: ("tf2_msgs/msg/TFMessage", STATE_QOS),
    ODOMETRY: ("nav_msgs/msg/Odometry", STATE_QOS),
    COMMAND: ("distilldrive_ros/msg/DrivingCommand", _HELD),
    SAMPLE_INFO: ("distilldrive_ros/msg/SampleInfo", _KEY_FRAME),
    OBJECTS: ("distilldrive_ros/msg/ObjectPredictions", _KEY_FRAME),
    PATH: ("nav_msgs/msg/Path", _KEY_FRAME),
    MAP: ("distilldrive_ros/msg/VectorMap", _KEY_FRAME),
    ROUTE: ("distilldrive_ros/msg/VectorMap", _KEY_FRAME),
    LIDAR: ("sensor_msgs/msg/PointCloud2", SENSOR_QOS),
}


def image_topic(camera: str) -> str:
    """JPEG stream of a camera."""
    return f"/camera/{camera}/image/compressed"


def camera_info_topic(camera: str) -> str:
    """Intrinsics of a camera, stamped as its images."""
    return f"/camera/{camera}/camera_info"


def optical_frame(camera: str) -> str:
    """Frame of a camera's images: x right, y down, z forward (REP-103)."""
    return f"{camera}_optical"
