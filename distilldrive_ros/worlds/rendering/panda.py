"""Panda3D, an optional package: importing this module says what to do where it is missing."""

from __future__ import annotations

from distilldrive_ros.scene.errors import WorldError

try:
    from panda3d import core
except ImportError as error:
    raise WorldError("the renderer needs Panda3D, which is not installed; run `make setup-world`") from error

__all__ = ["core"]
