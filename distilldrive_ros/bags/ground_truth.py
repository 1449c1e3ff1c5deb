"""Ground truth of a converted bag, read back as scene dataclasses: for evaluation and reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilldrive_ros.bags.reader import BagReader, open_bag
from distilldrive_ros.bags.topics import COMMAND, MAP, OBJECTS, PATH, SAMPLE_INFO
from distilldrive_ros.messages.plans import path_from_message
from distilldrive_ros.messages.records import command_from_message, sample_info_from_message
from distilldrive_ros.messages.scene_elements import objects_from_message, vector_map_from_message
from distilldrive_ros.scene.errors import BagError
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.sample_info import DrivingCommand, SampleInfo
from distilldrive_ros.scene.timed_path import TimedPath
from distilldrive_ros.scene.vector_map import VectorMap


@dataclass(frozen=True)
class KeyFrameTruth:
    """All that a bag says of one key frame; `vector_map` is None where the data set had no vector map."""

    sample: SampleInfo
    command: DrivingCommand
    objects: ObjectPredictions
    path: TimedPath
    vector_map: VectorMap | None

    @property
    def stamp_ns(self) -> int:
        """Stamp of the key frame's LiDAR sweep."""
        return self.sample.stamp_ns


def read_ground_truth(bag: Path | str | BagReader) -> list[KeyFrameTruth]:
    """Key frames of a converted bag, in time order.

    Raises:
        BagError: not readable, or not converted from a data set (it has no ground-truth topics).
        SensorDataError: a message of it contradicts itself.
    """
    if isinstance(bag, BagReader):
        return list(_key_frames(bag))
    with open_bag(bag) as reader:
        return list(_key_frames(reader))


def _key_frames(reader: BagReader) -> Iterator[KeyFrameTruth]:
    needed = (SAMPLE_INFO, COMMAND, OBJECTS, PATH)
    lacking = [t for t in needed if t not in reader.topics]
    if lacking:
        raise BagError(
            f"{reader.path} holds no ground truth (no {', '.join(lacking)}); make it with `distilldrive convert`"
        )
    by_stamp: dict[int, dict[str, Any]] = {}
    for message in reader.messages(topics=[t for t in (*needed, MAP) if t in reader.topics]):
        by_stamp.setdefault(message.stamp_ns, {})[message.topic] = reader.deserialize(message)
    for stamp_ns, found in by_stamp.items():
        absent = [t for t in needed if t not in found]
        if absent:
            raise BagError(f"{reader.path}: key frame at {stamp_ns} ns has no {', '.join(absent)}; convert it again")
        yield KeyFrameTruth(
            sample_info_from_message(found[SAMPLE_INFO]),
            command_from_message(found[COMMAND]),
            objects_from_message(found[OBJECTS]),
            path_from_message(found[PATH]),
            vector_map_from_message(found[MAP]) if MAP in found else None,
        )
