"""Binary files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from distilldrive_ros.scene.errors import DistillDriveError


class StorageError(DistillDriveError):
    """A disk is full or refuses a file; what was there before is untouched."""


def write_whole_file(path: Path, write: Callable[[IO[bytes]], object], durable: bool = False) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it.

    Args:
        path: where it belongs; its folder is made.
        write: gets the open file.
        durable: wait until the disk has it, so that a power cut leaves the old or the new file.

    Raises:
        StorageError: the disk is full or refuses the file; what was there before is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                write(stream)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
            if durable:
                _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; make room on the disk or choose another folder"
        ) from error


def _sync_folder(folder: Path) -> None:
    """The rename itself must reach the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
