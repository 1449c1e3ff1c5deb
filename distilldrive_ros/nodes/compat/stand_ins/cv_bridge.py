"""Stands in for ROS's `cv_bridge`: 8-bit images between messages and arrays; Pillow, not OpenCV, does JPEG and PNG.

Channel order as with OpenCV: colour images decoded without a wish come in BGR.
"""

from __future__ import annotations

import array
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3, "8UC4": 4}
# Where the encoding keeps red, green and blue; without the entry its channels have no meaning.
RED_GREEN_BLUE = {"rgb8": (0, 1, 2), "rgba8": (0, 1, 2), "bgr8": (2, 1, 0), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}


class CvBridgeError(TypeError):
    """A conversion is not possible."""


class CvBridge:
    """Converts between image messages and arrays (height, width) or (height, width, channels) of uint8."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> NDArray[np.uint8]:
        """Array of an `Image`, in its own encoding or the desired one.

        Raises:
            CvBridgeError: unknown encoding, or a conversion between encodings that have no common meaning.
            TypeError: the data are shorter than height times step (the error numpy gives the real one).
        """
        channels = _channels(img_msg.encoding)
        row_pixels = img_msg.step // channels
        pixels = np.ndarray(
            shape=(img_msg.height, row_pixels, channels), dtype=np.uint8, buffer=memoryview(img_msg.data)
        )
        image = np.ascontiguousarray(pixels[:, : img_msg.width])
        if desired_encoding != "passthrough":
            image = _recode(image, img_msg.encoding, desired_encoding)
        return image[:, :, 0] if image.shape[2] == 1 else image

    def cv2_to_imgmsg(
        self, cvim: NDArray[np.uint8], encoding: str = "passthrough", header: Header | None = None
    ) -> Image:
        """`Image` of an array; `encoding` names what the array holds.

        Raises:
            TypeError: not an array.
            CvBridgeError: the array does not fit the encoding.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        channels = 1 if cvim.ndim < 3 else cvim.shape[2]
        name = f"8UC{channels}" if encoding == "passthrough" else encoding
        if cvim.dtype != np.uint8 or _channels(name) != channels:
            raise CvBridgeError(f"encoding specified as {name}, but image is {cvim.dtype} with {channels} channels")
        message = Image(height=cvim.shape[0], width=cvim.shape[1], encoding=name, step=cvim.shape[1] * channels)
        if header is not None:
            message.header = header
        message.data = array.array("B", cvim.tobytes())
        return message

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> NDArray[np.uint8]:
        """Array of a JPEG or PNG message: BGR for colour, or the desired encoding.

        Raises:
            CvBridgeError: the stream cannot be decoded.
        """
        try:
            with PillowImage.open(io.BytesIO(bytes(cmprs_img_msg.data))) as picture:
                grey = picture.mode in ("L", "1")
                image = np.asarray(picture.convert("L" if grey else "RGB"))
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise CvBridgeError(f"the image cannot be decoded: {error}") from error
        own = "mono8" if grey else "rgb8"
        wanted = ("mono8" if grey else "bgr8") if desired_encoding == "passthrough" else desired_encoding
        decoded = _recode(np.atleast_3d(image), own, wanted)
        return decoded[:, :, 0] if decoded.shape[2] == 1 else decoded

    def cv2_to_compressed_imgmsg(self, cvim: NDArray[np.uint8], dst_format: str = "jpg") -> CompressedImage:
        """`CompressedImage` of a grey or BGR array, as `jpg`, `jpeg` or `png`.

        Raises:
            TypeError: not an array.
            CvBridgeError: unknown format.
        """
        if not isinstance(cvim, np.ndarray):
            raise TypeError("Your input type is not a numpy array")
        kinds = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}
        if dst_format not in kinds:
            raise CvBridgeError(f"format {dst_format!r} is not one of {', '.join(kinds)}")
        options: dict[str, Any] = {"quality": 95} if kinds[dst_format] == "JPEG" else {}
        stream = io.BytesIO()
        ordered = cvim if cvim.ndim < 3 else np.ascontiguousarray(cvim[:, :, 2::-1])
        PillowImage.fromarray(ordered).save(stream, kinds[dst_format], **options)
        return CompressedImage(format=dst_format, data=array.array("B", stream.getvalue()))


def _channels(encoding: str) -> int:
    if encoding not in CHANNELS:
        raise CvBridgeError(f"Unrecognized image encoding [{encoding}]; known are {', '.join(CHANNELS)}")
    return CHANNELS[encoding]


def _recode(image: NDArray[np.uint8], own: str, wanted: str) -> NDArray[np.uint8]:
    """Pixels (height, width, channels) in another encoding."""
    _channels(wanted)
    if own == wanted:
        return image
    if own not in RED_GREEN_BLUE or wanted not in RED_GREEN_BLUE:
        raise CvBridgeError(f"no conversion from {own} to {wanted}")
    colours = image[:, :, RED_GREEN_BLUE[own]]
    if wanted == "mono8":
        # OpenCV's fixed-point luma, so that both implementations agree to the bit.
        weighted = colours.astype(np.uint32) @ np.array([4899, 9617, 1868], np.uint32)
        return ((weighted + 8192) >> 14).astype(np.uint8)[:, :, None]
    out = np.full((*image.shape[:2], CHANNELS[wanted]), 255, np.uint8)
    out[:, :, RED_GREEN_BLUE[wanted]] = colours
    if CHANNELS[own] == 4 and CHANNELS[wanted] == 4:
        out[:, :, 3] = image[:, :, 3]
    return out
