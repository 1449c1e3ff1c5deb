"""The rig file: which sensors there are, their frames, and when each is expected after the anchor. Knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distilldrive_ros.environment.resources import share_directory
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.sync.config import SensorConfig, SensorKind
from distilldrive_ros.sync.own_body import OwnBody

_KEYS = {"anchor", "cameras", "lidar", "own_body"}
_AXES = ("x", "y", "z")
_SENSOR_KEYS = {"name", "frame", "offset_ms", "tolerance_ms", "settle_ms"}


@dataclass(frozen=True)
class Rig:
    """`sensors`: cameras in their order, then the LiDAR. `frames`: TF frame by sensor name. `own_body`: see there."""

    name: str
    anchor: str
    sensors: tuple[SensorConfig, ...]
    frames: dict[str, str]
    own_body: OwnBody | None = None


def rig_names() -> tuple[str, ...]:
    """Rigs that come with the package."""
    return tuple(sorted(path.stem for path in (share_directory() / "config" / "rigs").glob("*.yaml")))


def load_rig(name_or_path: str) -> Rig:
    """Read a rig by its name in config/rigs or by its path.

    Raises:
        ConfigurationError: no such rig, no YAML, unknown or missing keys, wrong values.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = share_directory() / "config" / "rigs" / f"{name_or_path}.yaml"
    if not path.is_file():
        raise ConfigurationError(
            f"there is no rig {name_or_path!r}; use one of {', '.join(rig_names())}, or the path of a .yaml file"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"rig {path} cannot be read: {' '.join(str(error).split())}") from error
    return _rig(path, content)


def _rig(path: Path, content: Any) -> Rig:
    if not isinstance(content, dict) or set(content) - _KEYS or "anchor" not in content:
        raise ConfigurationError(f"rig {path}: must hold anchor, cameras and lidar, may hold own_body, nothing else")
    cameras, lidar = content.get("cameras") or [], content.get("lidar")
    if not isinstance(cameras, list) or not (lidar is None or isinstance(lidar, dict)):
        raise ConfigurationError(f"rig {path}: cameras must be a list of sensors, lidar one sensor")
    entries: list[tuple[SensorKind, Any]] = [("camera", entry) for entry in cameras]
    entries += [("lidar", lidar)] if lidar else []
    sensors, frames = [], {}
    for kind, entry in entries:
        if not isinstance(entry, dict) or not {"name", "frame"} <= set(entry) or set(entry) - _SENSOR_KEYS:
            raise ConfigurationError(
                f"rig {path}: each sensor needs name and frame and may have offset_ms, tolerance_ms and settle_ms; "
                f"found {entry!r}"
            )
        timing = {key: entry[key] for key in ("offset_ms", "tolerance_ms", "settle_ms") if key in entry}
        sensors.append(SensorConfig(name=entry["name"], kind=kind, **timing))
        frames[str(entry["name"])] = str(entry["frame"])
    return Rig(path.stem, str(content["anchor"]), tuple(sensors), frames, _own_body(path, content.get("own_body")))


def _own_body(path: Path, content: Any) -> OwnBody | None:
    if content is None:
        return None
    try:
        (x, y, z) = (tuple(float(end) for end in content[axis]) for axis in _AXES)
        if set(content) != set(_AXES):
            raise ValueError
        return OwnBody(*x, *y, *z)
    except ConfigurationError as error:
        raise ConfigurationError(f"rig {path}: {error}") from error
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigurationError(f"rig {path}: own_body must hold x, y and z, each [lower, upper] in metres") from error
