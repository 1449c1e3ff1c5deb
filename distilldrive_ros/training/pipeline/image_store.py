"""Camera pictures of a root, decoded, reduced to what training needs of them, and kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from distilldrive_ros.models.distilldrive.preprocess import decode_image
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.training.whole_files import write_whole_file


class ImageStore:
    """Pictures at the largest scale that augmentation asks for.

    With a cache each picture is decoded from its JPEG file once; the cache holds PNG files, so that training sees the
    same pixels with and without it. Files are written whole or not at all; several processes may share a cache.
    """

    def __init__(self, dataroot: Path, out_width: int, out_height: int, max_resize: float, cache: Path | None) -> None:
        """Pictures for a network's image of `out_width` x `out_height`, scaled up to `max_resize` times that."""
        self._dataroot = dataroot
        self._out = (out_width, out_height)
        self._max_resize = max_resize
        self._folder = None if cache is None else cache / f"images-{out_width}x{out_height}-{max_resize:.4f}"

    def load(self, filename: str) -> tuple[Image.Image, tuple[int, int]]:
        """RGB picture, reduced, and the width and height of the file's own.

        Raises:
            SensorDataError: the file is missing, or is no JPEG or PNG picture.
            StorageError: the cache cannot be written to.
        """
        path = self._dataroot / filename
        try:
            state = path.stat() if filename else None
        except OSError:
            state = None
        if state is None:
            raise SensorDataError(f"camera image {path if filename else '(none in sample_data)'} is missing")
        cached = None
        if self._folder is not None:
            key = f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
            digest = hashlib.sha256(key.encode()).hexdigest()[:32]
            cached = self._folder / digest[:2] / f"{digest[2:]}.png"
            found = _read_cached(cached)
            if found is not None:
                return found
        try:
            image = decode_image(path.read_bytes())
        except OSError as error:
            raise SensorDataError(f"camera image {path} cannot be read: {error.strerror}; copy it again") from error
        except SensorDataError as error:
            raise SensorDataError(f"{path}: {error}") from error
        size = image.size
        reduced = image.resize(self._reduced_size(*size), Image.Resampling.BICUBIC)
        if cached is not None:
            write_whole_file(cached, lambda stream: reduced.save(stream, "PNG", compress_level=1, pnginfo=_note(size)))
        return reduced, size

    def _reduced_size(self, width: int, height: int) -> tuple[int, int]:
        """Never larger than the file's own."""
        scale = min(1.0, self._max_resize * max(self._out[0] / width, self._out[1] / height))
        return round(width * scale), round(height * scale)


_SIZE_KEY = "source-size"


def _note(size: tuple[int, int]) -> PngInfo:
    info = PngInfo()
    info.add_text(_SIZE_KEY, f"{size[0]} {size[1]}")
    return info


def _read_cached(path: Path) -> tuple[Image.Image, tuple[int, int]] | None:
    """The picture and its source's size; None where the file is absent or damaged."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            width, height = image.info[_SIZE_KEY].split()
            return image.convert("RGB"), (int(width), int(height))
    except (OSError, KeyError, ValueError, SyntaxError):
        return None
