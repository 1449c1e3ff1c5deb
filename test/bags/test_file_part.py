"""Files that the kernel moves into a bag: byte for byte, closed in the end, and never silently short."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.bags import convert, file_part
from distilldrive_ros.bags.file_part import FilePart
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.bags.topics import COMPRESSED_IMAGE
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import BagError

CONTENT = np.random.default_rng(0).bytes(3_000_001)


def opened(path: Path, size: int | None = None) -> FilePart:
    file = path.open("rb", buffering=0)
    return FilePart(file, path.stat().st_size if size is None else size)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (path := tmp_path / "picture.jpg").write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("kernel_helps", [True, False])
def test_bytes_arrive_in_order(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel_helps: bool
) -> None:
    if not kernel_helps:

        def refuse(*_: int) -> int:
            raise OSError(errno.EINVAL, "not on this file system")

        monkeypatch.setattr(file_part.os, "sendfile", refuse)
    part = opened(picture)
    assert len(part) == len(CONTENT) and part.start(3) == CONTENT[:3]
    with (tmp_path / "out").open("wb", buffering=0) as out:
        out.write(b"before")
        part.send(out.fileno())
        out.write(b"after")
    assert (tmp_path / "out").read_bytes() == b"before" + CONTENT + b"after"
    with pytest.raises(ValueError, match="closed file"):
        part.start(1)


def test_a_file_that_became_shorter_is_one_error_and_no_bag(picture: Path, tmp_path: Path) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BagError, match="became shorter while it was read"), BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/camera", COMPRESSED_IMAGE)
        for stamp in range(1, 5):
            writer.write("/camera", (b"\0" * 32, opened(picture, len(CONTENT) + 1)), stamp)
    assert not (tmp_path / "bag").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_pictures_are_the_same_as_files_and_as_memory(
    tiny: Any, tiny_root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for name, limit in (("files", 0), ("memory", 2**40)):
        monkeypatch.setattr(convert, "FILE_PART_BYTES", limit)
        nuscenes = NuScenes(tiny_root.path, tiny.VERSION)
        convert.convert_scene(nuscenes, nuscenes.scene("scene-0001"), tmp_path / name)
        with open_bag(tmp_path / name) as bag:
            found.append([(m.topic, m.stamp_ns, bytes(m.cdr)) for m in bag.messages()])
    assert found[0] == found[1] and any("image" in topic for topic, _, _ in found[0])
