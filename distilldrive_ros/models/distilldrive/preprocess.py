"""Image path: from a camera image to a normalised tensor and its projection matrix (spec 2.3)."""

from __future__ import annotations

import io
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from distilldrive_ros.scene.errors import SensorDataError

MEAN = (123.675, 116.28, 103.53)
"""RGB mean of the network's input, in 8-bit counts."""

STD = (58.395, 57.12, 57.375)
"""RGB standard deviation of the network's input, in 8-bit counts."""

_MIN_SIDE = 8
_MAX_SIDE = 16_384


@dataclass(frozen=True)
class ImageGeometry:
    """How a camera image maps to the network's: resize to (resized_width, resized_height), then crop.

    The crop keeps the bottom rows and the centre columns; `left`, `top` is its corner in the resized image.
    """

    resized_width: int
    resized_height: int
    left: int
    top: int
    scale_x: float
    scale_y: float

    def matrix(self) -> NDArray[np.float64]:
        """Pixels of the camera image to pixels of the network's image, [4, 4] on (u d, v d, d, 1)."""
        out = np.eye(4)
        out[0, 0], out[1, 1] = self.scale_x, self.scale_y
        out[0, 2], out[1, 2] = -self.left, -self.top
        return out


def image_geometry(width: int, height: int, out_width: int, out_height: int) -> ImageGeometry:
    """Smallest resize that covers the output, bottom-aligned, centred. Raises SensorDataError for absurd sizes."""
    if not (_MIN_SIDE <= width <= _MAX_SIDE and _MIN_SIDE <= height <= _MAX_SIDE):
        raise SensorDataError(
            f"camera image is {width}x{height} pixels, outside {_MIN_SIDE} to {_MAX_SIDE} per side; check the "
            f"camera driver"
        )
    resize = max(out_height / height, out_width / width)
    resized_width = max(out_width, round(width * resize))
    resized_height = max(out_height, round(height * resize))
    return ImageGeometry(
        resized_width,
        resized_height,
        (resized_width - out_width) // 2,
        resized_height - out_height,
        resized_width / width,
        resized_height / height,
    )


def decode_image(data: bytes | NDArray[np.uint8]) -> Image.Image:
    """RGB image from a JPEG or PNG stream. Raises SensorDataError when the stream is damaged or of another format."""
    try:
        with Image.open(
            io.BytesIO(data if isinstance(data, bytes) else data.tobytes()), formats=("JPEG", "PNG")
        ) as image:
            if max(image.size) > _MAX_SIDE:
                raise SensorDataError(f"camera image is {image.size} pixels; check the camera driver")
            return image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, SensorDataError):
            raise
        raise SensorDataError(
            f"camera image cannot be decoded ({error}); the stream is damaged or neither JPEG nor PNG, check "
            f"the driver "
            f"and the link"
        ) from error


def resize_and_crop(image: Image.Image, out_width: int, out_height: int) -> Image.Image:
    """The network's view of an RGB image: bicubic, anti-aliased, 8 bit."""
    geometry = image_geometry(*image.size, out_width, out_height)
    resized = image.resize((geometry.resized_width, geometry.resized_height), Image.Resampling.BICUBIC)
    left, top = geometry.left, geometry.top
    return resized.crop((left, top, left + out_width, top + out_height))


def normalize_into(image: Image.Image, out: NDArray[np.float32]) -> None:
    """Write (RGB - mean) / std of an 8-bit image into `out` [3, H, W]; float32 arithmetic, no copy in between.

    numpy on purpose: torch would start a thread team for each thread of the pool that calls this.
    """
    pixels = np.asarray(image)
    for channel, plane in enumerate(out):
        np.subtract(pixels[..., channel], np.float32(MEAN[channel]), out=plane)
        np.divide(plane, np.float32(STD[channel]), out=plane)


class ImagePreparation(Protocol):
    """What makes the network's images of a set's: arguments, result and errors as `prepare_images`."""

    def __call__(
        self, images: list[bytes | NDArray[np.uint8] | None], out_width: int, out_height: int, executor: Executor
    ) -> tuple[Tensor, list[tuple[int, int]]]: ...


def prepare_images(
    images: list[bytes | NDArray[np.uint8] | None], out_width: int, out_height: int, executor: Executor
) -> tuple[Tensor, list[tuple[int, int]]]:
    """Decode, resize, crop and normalise all cameras of a set at once.

    Each entry is a JPEG or PNG stream (bytes, or a flat array), an RGB array [H, W, 3], or None for a camera without
    an image, whose pixels get the mean colour (zeros after normalisation). PIL releases the interpreter lock, so the
    work runs in `executor`.

    Returns:
        [C, 3, out_height, out_width] float32, and (width, height) of every camera image, (0, 0) for None.

    Raises:
        SensorDataError: an image cannot be used.
    """
    out = np.zeros((len(images), 3, out_height, out_width), np.float32)

    def work(index: int) -> tuple[int, int]:
        data = images[index]
        if data is None:
            return 0, 0
        image = as_image(data)
        normalize_into(resize_and_crop(image, out_width, out_height), out[index])
        return image.size

    sizes = list(executor.map(work, range(len(images))))
    return torch.from_numpy(out), sizes


def as_image(data: bytes | NDArray[np.uint8]) -> Image.Image:
    """RGB image of a JPEG or PNG stream (bytes, flat array) or of an RGB array [H, W, 3]. Raises SensorDataError."""
    if isinstance(data, np.ndarray) and data.ndim == 3:
        if data.dtype != np.uint8 or data.shape[2] != 3:
            raise SensorDataError(
                f"raw camera image is {data.shape} {data.dtype}; expected (height, width, 3) uint8 RGB"
            )
        return Image.fromarray(data)
    return decode_image(data)


def projection_matrix(
    geometry: ImageGeometry, intrinsics: NDArray[np.float64], camera_from_lidar: NDArray[np.float64]
) -> NDArray[np.float64]:
    """LiDAR point (x, y, z, 1) to (u d, v d, d, 1) in pixels of the network's image, [4, 4] float64.

    intrinsics [3, 3] of the camera image; camera_from_lidar [4, 4] includes the ego motion between the two stamps.
    """
    camera = np.eye(4)
    camera[:3, :3] = intrinsics
    return np.asarray(geometry.matrix() @ camera @ camera_from_lidar)
