"""What the data loader hands over, and how frames that cannot be read are stepped over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from distilldrive_ros.scene.errors import DatasetError, SensorDataError

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class LoadedBatch(Generic[Batch]):
    """A batch, and the frames that had to be left out of it: name and reason."""

    batch: Batch
    skipped: tuple[str, ...]


def first_readable(
    key_frames: Iterable[int], read: Callable[[int], Batch], name: Callable[[int], str], of: str
) -> LoadedBatch[Batch]:
    """The first of some key frames that can be read, those before it noted as `name`: reason.

    Raises:
        DatasetError: none can; `of` says of what.
    """
    skipped: list[str] = []
    for key_frame in key_frames:
        try:
            return LoadedBatch(read(key_frame), tuple(skipped))
        except (SensorDataError, DatasetError) as error:
            skipped.append(f"{name(key_frame)}: {error}")
    raise DatasetError(
        f"none of the {len(skipped)} key frames of {of} can be read (first: {skipped[0]}); complete the data set, or "
        f"leave the scene out"
    )
