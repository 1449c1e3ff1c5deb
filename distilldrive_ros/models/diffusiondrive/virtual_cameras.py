"""Other rigs' cameras, seen as the three that the networks were trained with.

For every pixel of the network's picture the ray of the expected camera is followed into the rig's own cameras. Only
directions count: the cameras are taken to stand in one point, which is right for what is far away. Pixels that no
camera sees are black.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.canvas import SLOTS, CanvasSlot, source_centers
from distilldrive_ros.models.diffusiondrive.config import CANVAS_HEIGHT, CANVAS_WIDTH
from distilldrive_ros.scene.sensor_frame import CameraFrame

Array = NDArray[np.float64]

_MIN_DEPTH = 1e-3
_LARGEST_RADIUS = 1.2


@dataclass(frozen=True)
class ExpectedCamera:
    """A camera of the training rig: level, looking `yaw_deg` to the left, pinhole with radial distortion.

    `focal`, `center_x`, `center_y` are pixels of 1920x1080; `distortion` are k1, k2, k3. The numbers are nominal: they
    give the field of view (about 74 degrees wide) and the seams to a degree or so, not a calibration.
    """

    yaw_deg: float
    focal: float = 1545.0
    center_x: float = 960.0
    center_y: float = 560.0
    distortion: tuple[float, float, float] = (-0.356, 0.173, -0.052)

    def rays(self, slot: CanvasSlot) -> Array:
        """Directions (256, width, 3) in base_link of the slot's pixels."""
        columns, rows = source_centers(slot)
        x, y = np.meshgrid((columns - self.center_x) / self.focal, (rows - self.center_y) / self.focal)
        radius = np.linspace(0.0, _LARGEST_RADIUS, 4001)
        k1, k2, k3 = self.distortion
        distorted = radius * (1 + k1 * radius**2 + k2 * radius**4 + k3 * radius**6)
        seen = np.hypot(x, y)
        stretch = np.divide(np.interp(seen, distorted, radius), seen, out=np.ones_like(seen), where=seen > 0)
        yaw = np.deg2rad(self.yaw_deg)
        right = x * stretch
        return np.stack([np.cos(yaw) + np.sin(yaw) * right, np.sin(yaw) - np.cos(yaw) * right, -y * stretch], axis=-1)


EXPECTED = (ExpectedCamera(55.0), ExpectedCamera(0.0), ExpectedCamera(-55.0))
"""Left, front, right."""


@dataclass(frozen=True)
class RigMapping:
    """Which pixels (of 256 x 1024, row-major) each source camera fills, and from where.

    `targets[i]` int64 (n,) and `grids[i]` (1, 1, n, 2) in the coordinates of grid_sample, by source camera.
    """

    targets: tuple[Tensor, ...]
    grids: tuple[Tensor, ...]


def map_rig(cameras: tuple[CameraFrame, ...], wanted: tuple[ExpectedCamera, ...] = EXPECTED) -> RigMapping:
    """Mapping for the cameras left, front, right, by their intrinsics and mounting.

    Every camera of the `wanted` ones looks through the rig's camera of the same place first, then through the others.
    """
    side = (CANVAS_HEIGHT, CANVAS_WIDTH)
    chosen = np.full(side, -1)
    pixels = np.zeros((*side, 2))
    for place, (slot, expected) in enumerate(zip(SLOTS, wanted, strict=True)):
        rays = expected.rays(slot)
        window = np.s_[:, slot.column : slot.column + slot.width]
        for source in sorted(range(len(cameras)), key=lambda index, place=place: abs(index - place)):  # type: ignore[misc]
            uv, visible = _project(rays, cameras[source])
            new = visible & (chosen[window] < 0)
            chosen[window][new] = source
            pixels[window][new] = uv[new]
    targets, grids = [], []
    for source, camera in enumerate(cameras):
        flat = np.flatnonzero(chosen.ravel() == source)
        scale = 2.0 / (np.array([camera.width, camera.height]) - 1)
        grid = pixels.reshape(-1, 2)[flat] * scale - 1
        targets.append(torch.from_numpy(flat))
        grids.append(torch.from_numpy(grid.astype(np.float32))[None, None])
    return RigMapping(tuple(targets), tuple(grids))


def render(images: tuple[NDArray[np.uint8] | None, ...], mapping: RigMapping) -> Tensor:
    """Images [H, W, 3] uint8 RGB of the mapped cameras -> canvas [3, 256, 1024] in 0..1; None stays black."""
    canvas = torch.zeros(3, CANVAS_HEIGHT * CANVAS_WIDTH)
    for image, targets, grid in zip(images, mapping.targets, mapping.grids, strict=True):
        if image is None or not len(targets):
            continue
        source = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()[None]
        canvas[:, targets] = F.grid_sample(source, grid, mode="bilinear", align_corners=True)[0, :, 0]
    return canvas.view(3, CANVAS_HEIGHT, CANVAS_WIDTH) / 255


def _project(rays: Array, camera: CameraFrame) -> tuple[Array, NDArray[np.bool_]]:
    """Pixels (..., 2) of the camera image where rays (..., 3) of base_link fall, and whether they do."""
    local = rays @ camera.base_from_camera[:3, :3]
    depth = local[..., 2]
    ahead = depth > _MIN_DEPTH
    homogeneous = local @ camera.intrinsics.T
    uv = homogeneous[..., :2] / np.where(ahead, depth, 1.0)[..., None]
    inside = (uv >= 0).all(axis=-1) & (uv[..., 0] <= camera.width - 1) & (uv[..., 1] <= camera.height - 1)
    return uv, ahead & inside
