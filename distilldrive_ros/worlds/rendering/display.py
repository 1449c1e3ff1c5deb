"""The drawing engine: Panda3D on OpenGL without a screen (EGL), or on its own software rasteriser."""

from __future__ import annotations

import itertools
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.rendering.panda import core

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

NEAR_M, FAR_M = 0.3, 3000.0
# Panda3D's camera frame (x right, y forward, z up) to the optical one (x right, y down, z forward).
_OPTICAL_FROM_PANDA = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])

_numbers = itertools.count()


class Display(Enum):
    """What draws; the value is the name of Panda3D's module."""

    OPENGL = "p3headlessgl"
    SOFTWARE = "p3tinydisplay"

    @property
    def description(self) -> str:
        """For messages to the user."""
        return {
            Display.OPENGL: "OpenGL without a screen (EGL)",
            Display.SOFTWARE: "Panda3D's software display (no OpenGL driver was found; simpler pictures)",
        }[self]


@cache
def open_pipe(wanted: Display | None = None) -> tuple[Any, Display]:
    """The engine's way to draw: `wanted`, or OpenGL and, where there is none, the software display.

    Raises:
        WorldError: it cannot be opened.
    """
    core.load_prc_file_data("", "notify-level-display error\nnotify-level-egldisplay fatal\naudio-library-name null\n")
    core.load_prc_file_data("", "notify-level-x11display fatal\nnotify-level-tinydisplay error\n")
    for display in [wanted] if wanted else list(Display):
        pipe = core.GraphicsPipeSelection.get_global_ptr().make_module_pipe(display.value)
        if pipe is not None and _draws(pipe, display):
            return pipe, display
    raise WorldError(
        f"no picture can be drawn here: {wanted.description if wanted else 'neither OpenGL nor the software display'} "
        "cannot be opened; install a driver (Debian, Ubuntu: `apt-get install libegl1 libgl1-mesa-dri`)"
    )


def _draws(pipe: Any, display: Display) -> bool:
    buffer = _make_buffer(pipe, display, 16, 16, 0)
    if buffer is None:
        return False
    core.GraphicsEngine.get_global_ptr().remove_window(buffer)
    return True


def _make_buffer(pipe: Any, display: Display, width: int, height: int, samples: int) -> Any:
    """An off-screen buffer, or None where it cannot be had."""
    wish = core.FrameBufferProperties()
    wish.set_rgb_color(True)
    if display is Display.OPENGL:
        wish.set_rgba_bits(8, 8, 8, 8)
        wish.set_multisamples(samples)
    wish.set_depth_bits(24)
    engine = core.GraphicsEngine.get_global_ptr()
    buffer = engine.make_output(
        pipe,
        f"view-{next(_numbers)}",
        0,
        wish,
        core.WindowProperties.size(width, height),
        core.GraphicsPipe.BF_refuse_window,
    )
    if buffer is None:
        return None
    engine.open_windows()
    return buffer if buffer.is_valid() else None


class ViewTarget:
    """An off-screen picture and the camera that draws it."""

    def __init__(self, root: Any, width: int, height: int, samples: int = 0, display: Display | None = None) -> None:
        """Make it for a scene.

        Args:
            root: the scene's top node (`NodePath`).
            width: px.
            height: px.
            samples: coverage samples of a pixel for smooth edges, 0 for none; OpenGL only.
            display: what shall draw.

        Raises:
            WorldError: the display cannot give a picture of that size.
        """
        pipe, self.display = open_pipe(display)
        buffer = _make_buffer(pipe, self.display, width, height, samples)
        if buffer is None:
            raise WorldError(
                f"{self.display.description} gives no picture of {width} x {height} px; ask for smaller ones"
            )
        self.width, self.height = width, height
        self._buffer = buffer
        self._texture = core.Texture()
        buffer.add_render_texture(self._texture, core.GraphicsOutput.RTM_copy_ram)
        buffer.set_clear_color((0, 0, 0, 1))
        self._lens = core.MatrixLens()
        self._lens.set_near_far(NEAR_M, FAR_M)
        self._camera = root.attach_new_node(core.Camera("camera", self._lens))
        buffer.make_display_region().set_camera(self._camera)
        buffer.set_active(False)

    def aim(self, world_from_camera: Array, intrinsics: Array) -> None:
        """Place the camera: pose 4x4 of the optical frame, K (3, 3) in px with pixel centres at whole numbers."""
        self._camera.set_mat(panda_matrix(world_from_camera @ _OPTICAL_FROM_PANDA))
        self._lens.set_user_mat(panda_matrix(_clip_from_panda(intrinsics, self.width, self.height)))

    def activate(self, active: bool) -> None:
        """Whether the next frame draws it."""
        self._buffer.set_active(active)

    def read(self) -> Image:
        """The picture (H, W, 3) RGB of the last frame."""
        raw = np.frombuffer(self._texture.get_ram_image(), np.uint8)
        channels = len(raw) // (self.width * self.height)
        pixels = raw.reshape(self.height, -1, channels)[:, : self.width]
        return np.ascontiguousarray(pixels[::-1, :, 2::-1])

    def close(self) -> None:
        """Free the buffer."""
        core.GraphicsEngine.get_global_ptr().remove_window(self._buffer)
        self._camera.remove_node()


def draw(targets: list[ViewTarget]) -> list[Image]:
    """Draw these in one frame and read them back."""
    for target in targets:
        target.activate(True)
    core.GraphicsEngine.get_global_ptr().render_frame()
    for target in targets:
        target.activate(False)
    return [target.read() for target in targets]


def panda_matrix(matrix: Array) -> Any:
    """A 4x4 matrix for column vectors in the engine's form, which is for row vectors."""
    return core.LMatrix4f(*matrix.T.ravel().tolist())


def _clip_from_panda(intrinsics: Array, width: int, height: int) -> Array:
    """4x4, camera frame (x right, y forward, z up) to clip coordinates, with any principal point and any skew."""
    to_clip = np.array([[2 / width, 0, 1 / width - 1], [0, -2 / height, 1 - 1 / height], [0, 0, 1]])
    k = to_clip @ intrinsics
    out = np.zeros((4, 4))
    out[0, :3], out[1, :3], out[3, :3] = k
    out[2, 2:] = (FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    return out @ _OPTICAL_FROM_PANDA
