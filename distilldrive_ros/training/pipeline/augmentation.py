"""Resize, crop, flip and turn pictures and the scene, with matrices that say where everything went (spec 2.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.models.distilldrive.preprocess import ImageGeometry
from distilldrive_ros.scene.errors import ConfigurationError

Matrix = NDArray[np.float64]

# 1 is the smallest resize that covers the network's image: 0.44 for 1600x900 to 704x256; drawn is 0.40 to 0.47.
_OFFICIAL_RESIZE = 0.44


@dataclass(frozen=True)
class AugmentationConfig:
    """What training changes about a frame. The defaults are those of the official training.

    `resize`: range of the scale, 1 covering the network's image exactly; `crop`: shift the crop sideways where the
    picture is wider than the network's; `flip`: probability; `rotation_deg`: pictures turn by up to
    that much either way; `scene_rotation_deg`: the scene itself, LiDAR frame and all targets, about the vertical;
    `photometric`: colours and brightness.
    """

    resize: tuple[float, float] = (0.40 / _OFFICIAL_RESIZE, 0.47 / _OFFICIAL_RESIZE)
    crop: bool = True
    flip: float = 0.5
    rotation_deg: float = 5.4
    scene_rotation_deg: float = 0.0
    photometric: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn. Raises ConfigurationError."""
        low, high = self.resize
        problems = {
            f"resize is {self.resize}, must be two rising numbers within 0.5 to 2": not 0.5 <= low <= high <= 2,
            f"flip is {self.flip}, must be within 0 to 1": not 0 <= self.flip <= 1,
            f"rotation_deg is {self.rotation_deg}, must be within 0 to 45": not 0 <= self.rotation_deg <= 45,
            f"scene_rotation_deg is {self.scene_rotation_deg}, must be within 0 to 180": (
                not 0 <= self.scene_rotation_deg <= 180
            ),
        }
        broken = [text for text, wrong in problems.items() if wrong]
        if broken:
            raise ConfigurationError(f"augmentation: {'; '.join(broken)}; correct the training configuration")


NO_AUGMENTATION = AugmentationConfig((1.0, 1.0), False, 0.0, 0.0, 0.0, False)
"""The frame as inference sees it."""


@dataclass(frozen=True)
class View:
    """One draw, for all cameras of a sequence.

    `resize` as in the configuration; `shift`: place of the crop, 0 left to 1 right; `flip`; `rotation` of the pictures
    (rad, counter-clockwise as seen); `yaw` of the scene (rad, counter-clockwise from above).
    """

    resize: float = 1.0
    shift: float = 0.5
    flip: bool = False
    rotation: float = 0.0
    yaw: float = 0.0


def draw_view(config: AugmentationConfig, rng: np.random.Generator) -> View:
    """Draw for a sequence; the same number of draws whatever the configuration."""
    resize, shift, flip, rotation, yaw = rng.random(5)
    low, high = config.resize
    turn, scene_turn = math.radians(config.rotation_deg), math.radians(config.scene_rotation_deg)
    return View(
        low + (high - low) * resize,
        shift if config.crop else 0.5,
        bool(flip < config.flip),
        turn * (2 * rotation - 1),
        scene_turn * (2 * yaw - 1),
    )


def view_geometry(width: int, height: int, out_width: int, out_height: int, view: View) -> ImageGeometry:
    """Resize and crop of a camera image of that size: the bottom rows are kept, missing ones are black."""
    scale = view.resize * max(out_height / height, out_width / width)
    resized_width, resized_height = round(width * scale), round(height * scale)
    left = int(view.shift * max(0, resized_width - out_width))
    return ImageGeometry(
        resized_width, resized_height, left, resized_height - out_height, resized_width / width, resized_height / height
    )


def view_matrix(geometry: ImageGeometry, out_width: int, out_height: int, view: View) -> Matrix:
    """Pixels of the camera image to pixels of the network's, (4, 4) on (u d, v d, d, 1), flip and turn included."""
    matrix = geometry.matrix()
    if view.flip:
        mirror = np.eye(4)
        mirror[0, 0], mirror[0, 2] = -1.0, out_width
        matrix = mirror @ matrix
    if view.rotation:
        c, s = math.cos(view.rotation), math.sin(view.rotation)
        turn = np.eye(4)
        # Rows run downwards: counter-clockwise as seen is clockwise in (u, v).
        turn[:2, :2] = [[c, s], [-s, c]]
        center = np.array([out_width / 2, out_height / 2])
        turn[:2, 2] = center - turn[:2, :2] @ center
        matrix = turn @ matrix
    return matrix


def apply_view(image: Image.Image, geometry: ImageGeometry, out_width: int, out_height: int, view: View) -> Image.Image:
    """The network's view (out_width x out_height) of a camera image, or of a smaller copy of it."""
    size = geometry.resized_width, geometry.resized_height
    resized = image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
    left, top = geometry.left, geometry.top
    out = resized.crop((left, top, left + out_width, top + out_height))
    if view.flip:
        out = out.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if view.rotation:
        out = out.rotate(math.degrees(view.rotation), Image.Resampling.BILINEAR)
    return out


def scene_turn(view: View) -> Matrix:
    """(4, 4) from the network's frame to the turned one that the network is trained in."""
    out = np.eye(4)
    c, s = math.cos(view.yaw), math.sin(view.yaw)
    out[:2, :2] = [[c, -s], [s, c]]
    return out
