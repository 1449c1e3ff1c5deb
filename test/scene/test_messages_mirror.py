"""Every message has a dataclass (or constants) in `scene/` with the same names, in the same order."""

from __future__ import annotations

import dataclasses
import re
from enum import IntEnum, IntFlag
from pathlib import Path

import pytest

from distilldrive_ros.scene import candidates, command, inference_stats, objects, sample_info, sensor_frame, vector_map

# A field of the message that the dataclass holds under other names: how `scene/` writes stamps, frames and boxes.
RENAMED = {
    "header": ("stamp_ns", "frame_id"),
    "stamp": ("stamp_ns",),
    "inference_stamp": ("inference_stamp_ns",),
    "source_stamp": ("source_stamp_ns",),
}
MIRRORS = {
    "CameraFrame": sensor_frame.CameraFrame,
    "LidarFrame": sensor_frame.LidarFrame,
    "EgoStatus": sensor_frame.EgoStatus,
    "SensorFrame": sensor_frame.SensorFrame,
    "TrajectoryCandidates": candidates.TrajectoryCandidates,
    "PathCandidates": candidates.PlanCandidates,
    "ObjectPrediction": objects.ObjectPrediction,
    "ObjectPredictions": objects.ObjectPredictions,
    "MapPolyline": vector_map.MapPolyline,
    "VectorMap": vector_map.VectorMap,
    "InferenceStats": inference_stats.InferenceStats,
    "DrivingCommand": sample_info.DrivingCommand,
    "SampleInfo": sample_info.SampleInfo,
}
# Fields of a dataclass that no message field stands for one to one; the properties of the message's name stand in.
DERIVED = {
    "PathCandidates": {"candidates"},  # paths, scores, modes, commands, invalid_reasons
    "ObjectPrediction": {"box"},  # pose, size
    "SensorFrame": {"privileged"},  # beside the sensors: never sent with them
}
CONSTANTS: dict[tuple[str, str], type[IntEnum] | type[IntFlag]] = {
    ("CameraFrame", "STATUS_"): sensor_frame.CameraStatus,
    ("SensorFrame", "DEGRADED_"): sensor_frame.Degraded,
    ("SensorFrame", "DISCONTINUITY_"): sensor_frame.Discontinuity,
    ("TrajectoryCandidates", "COMMAND_"): command.Command,
    ("TrajectoryCandidates", "SCORE_"): candidates.ScoreType,
    ("PathCandidates", "INVALID_"): candidates.InvalidReason,
    ("MapPolyline", ""): vector_map.PolylineKind,
}
LINE = re.compile(r"^(?P<type>[\w/]+(?:\[\d*\])?)\s+(?P<name>\w+)(?:=(?P<value>\d+))?\s*(?:#\s*(?P<comment>.*))?$")


def parse(path: Path) -> tuple[list[tuple[str, str, str]], dict[str, int]]:
    """Fields (type, name, comment) and constants of a message definition."""
    fields, constants = [], {}
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.match(line)
        assert match, f"{path.name}: cannot read {line!r}"
        if match["value"] is not None:
            constants[match["name"]] = int(match["value"])
        else:
            fields.append((match["type"], match["name"], match["comment"] or ""))
    return fields, constants


@pytest.fixture(scope="module")
def definitions(repository: Path) -> dict[str, tuple[list[tuple[str, str, str]], dict[str, int]]]:
    return {p.stem: parse(p) for p in sorted((repository / "msg").glob("*.msg"))}


def test_every_message_has_a_mirror(definitions: dict) -> None:
    assert set(definitions) == set(MIRRORS)


@pytest.mark.parametrize("name", sorted(MIRRORS))
def test_fields_match(name: str, definitions: dict) -> None:
    mirror = MIRRORS[name]
    wanted = [n for _, field, _ in definitions[name][0] for n in RENAMED.get(field, (field,))]
    own = [f.name for f in dataclasses.fields(mirror)]
    properties = {k for k, v in vars(mirror).items() if isinstance(v, property)}
    missing = [n for n in wanted if n not in own and n not in properties]
    assert not missing, f"{name}: the dataclass lacks {missing}"
    extra = set(own) - set(wanted) - DERIVED.get(name, set())
    assert not extra, f"{name}: the message lacks {extra}"
    in_both = [n for n in wanted if n in own]
    assert in_both == [n for n in own if n in in_both], f"{name}: the order differs"


@pytest.mark.parametrize("name", sorted(MIRRORS))
def test_every_field_is_commented(name: str, definitions: dict) -> None:
    bare = [n for kind, n, comment in definitions[name][0] if not comment and kind != "std_msgs/Header"]
    assert not bare, f"{name}: no comment (meaning, unit, frame) on {bare}"


@pytest.mark.parametrize(("name", "prefix"), sorted(CONSTANTS))
def test_constants_match(name: str, prefix: str, definitions: dict) -> None:
    found = {k[len(prefix) :]: v for k, v in definitions[name][1].items() if k.startswith(prefix)}
    if prefix == "INVALID_":
        found["VALID"] = definitions[name][1]["VALID"]
    enum = {k: int(v) for k, v in CONSTANTS[name, prefix].__members__.items()}
    assert found == enum


def test_all_constants_are_mirrored(definitions: dict) -> None:
    for name, (_, constants) in definitions.items():
        prefixes = [p for n, p in CONSTANTS if n == name]
        left = [c for c in constants if not any(c.startswith(p) for p in prefixes) and c != "VALID"]
        assert not left, f"{name}: {left} have no enum"
