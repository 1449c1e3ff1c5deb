"""Size of a JPEG or PNG image from its header, and whether the stream is whole: cheap enough for a callback.

Decoding is for the worker. What it alone can see (damage in the middle) is reported there.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from distilldrive_ros.scene.errors import SensorDataError

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Start of frame: every kind but the arithmetic-coding and table markers among them.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})


class ImageHeader(NamedTuple):
    """`encoding` is jpeg or png; size in pixels."""

    encoding: str
    width: int
    height: int


def read_image_header(data: memoryview) -> ImageHeader:
    """Kind and size of an encoded image.

    Raises:
        SensorDataError: neither JPEG nor PNG, damaged header, or cut off before its end.
    """
    if len(data) == 0:
        raise SensorDataError("image is empty; the camera driver sent no data")
    if bytes(data[:8]) == PNG_SIGNATURE:
        return _png(data)
    if bytes(data[:2]) == b"\xff\xd8":
        return _jpeg(data)
    raise SensorDataError(
        f"image is neither JPEG nor PNG (starts with {bytes(data[:4]).hex(' ')}); set the camera to one of them"
    )


def _png(data: memoryview) -> ImageHeader:
    if len(data) < 33 or bytes(data[12:16]) != b"IHDR":
        raise SensorDataError("PNG image is damaged in its header; look at the camera driver or the link")
    if b"IEND" not in bytes(data[-16:]):
        raise SensorDataError(f"PNG image is cut off after {len(data)} bytes; look at the link from the camera")
    width, height = struct.unpack(">II", data[16:24])
    return ImageHeader("png", width, height)


def _jpeg(data: memoryview) -> ImageHeader:
    size = _jpeg_size(data)
    # Some cameras pad with zeros behind the end-of-image marker.
    if b"\xff\xd9" not in bytes(data[-64:]).rstrip(b"\x00")[-2:]:
        raise SensorDataError(f"JPEG image is cut off after {len(data)} bytes; look at the link from the camera")
    return ImageHeader("jpeg", *size)


def _jpeg_size(data: memoryview) -> tuple[int, int]:
    """Width and height from the start-of-frame segment."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _STANDALONE:
            position += 2
            continue
        (length,) = struct.unpack(">H", data[position + 2 : position + 4])
        if marker in _START_OF_FRAME and position + 9 <= len(data):
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return width, height
        if marker in (0xDA, 0xD9) or length < 2:
            break
        position += 2 + length
    raise SensorDataError("JPEG image is damaged in its header; look at the camera driver or the link")
