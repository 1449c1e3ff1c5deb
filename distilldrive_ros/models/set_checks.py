"""What every model checks of a set before it computes with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.geometry.poses import is_rigid
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, SensorFrame

_RAW_ENCODING = "rgb8"


def required_camera(frame: SensorFrame, name: str) -> CameraFrame:
    """The camera of that name. Raises SensorDataError where the set lacks it."""
    camera = frame.camera(name)
    if camera is None:
        present = ", ".join(c.name for c in frame.cameras) or "none"
        raise SensorDataError(
            f"camera {name} is missing from the set (present: {present}); check the rig's camera names, or let the "
            f"synchroniser fill it (policy hold_last or zero_fill)"
        )
    return camera


def image_data(camera: CameraFrame) -> NDArray[np.uint8] | None:
    """JPEG or PNG stream (flat), RGB pixels (height, width, 3), or None for a camera that was filled with zeros.

    Raises:
        SensorDataError: raw pixels that do not make up the image.
    """
    if camera.status == CameraStatus.ZERO_FILLED:
        return None
    if camera.encoding != _RAW_ENCODING:
        return camera.data
    if camera.data.size != camera.width * camera.height * 3:
        raise SensorDataError(
            f"camera {camera.name}: {camera.data.size} bytes of rgb8 do not make {camera.width}x{camera.height} "
            f"pixels; "
            f"check the driver's image size"
        )
    return camera.data.reshape(camera.height, camera.width, 3)


def require_calibrated(camera: CameraFrame, width: int, height: int) -> None:
    """Refuse a camera whose calibration is not that of an image of this size, or no calibration at all.

    Raises:
        SensorDataError: with the remedy.
    """
    if (width, height) != (camera.width, camera.height):
        raise SensorDataError(
            f"camera {camera.name}: the image is {width}x{height} pixels, its calibration is for {camera.width}x"
            f"{camera.height}; publish camera_info of the same size as the image"
        )
    if not (np.isfinite(camera.intrinsics).all() and camera.intrinsics[0, 0] > 0 and camera.intrinsics[1, 1] > 0):
        raise SensorDataError(f"camera {camera.name} is not calibrated (focal length not above 0); publish camera_info")
    require_pose(f"camera {camera.name}: base_from_camera", camera.base_from_camera)


def require_pose(name: str, pose: NDArray[np.float64]) -> None:
    """Refuse what is not a rigid transform [4, 4]. Raises SensorDataError."""
    if not is_rigid(pose):
        raise SensorDataError(f"{name} is not a rigid transform with finite numbers; check the calibration and /tf")
