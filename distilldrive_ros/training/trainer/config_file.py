"""YAML files to dataclasses and back: every key must exist, every value have its type."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union

import yaml

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.trainer.config import TrainConfig

_Config = TypeVar("_Config")


def read_config(path: Path, overrides: Mapping[str, object] | None = None) -> TrainConfig:
    """The training of a YAML file; `overrides` by dotted names (`run.iterations`) win over the file.

    Raises:
        ConfigurationError: the file is absent or no YAML, a key is unknown, a value of another type or out of range.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"training configuration {path} cannot be read: {reason}; check the path") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"training configuration {path} is no mapping; see config/train/ for examples")
    for name, value in (overrides or {}).items():
        *groups, key = name.split(".")
        place = content
        for group in groups:
            place = place.setdefault(group, {})
        place[key] = value
    try:
        return config_from(TrainConfig, content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def config_from(cls: type[_Config], content: Mapping[str, Any], owner: str = "") -> _Config:
    """A dataclass from plain values, nested ones from nested mappings.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value has another type.
    """
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{owner.rstrip('.') or 'the file'} must be a mapping, is {content!r}")
    items = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    unknown = [str(key) for key in content if key not in items]
    if unknown:
        raise ConfigurationError(f"{owner}{unknown[0]} is unknown; use one of {', '.join(owner + n for n in items)}")
    hints = typing.get_type_hints(cls)
    values = {name: _value(hints[name], content[name], owner + name) for name in items if name in content}
    for name, item in items.items():
        if name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise ConfigurationError(f"{owner}{name} is missing")
    return cls(**values)


def plain(config: object) -> Any:
    """The same as plain values, for YAML and JSON."""
    if is_dataclass(config):
        return {item.name: plain(getattr(config, item.name)) for item in fields(config)}
    if isinstance(config, Enum):
        return config.value
    if isinstance(config, tuple):
        return [plain(value) for value in config]
    return str(config) if isinstance(config, Path) else config


def _value(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, name)
    if is_dataclass(hint):
        return config_from(typing.cast(type, hint), value, f"{name}.")
    if origin is tuple:
        return _tuple(arguments, value, name)
    if isinstance(hint, type) and issubclass(hint, Enum):
        allowed = [member.value for member in hint]
        if value not in allowed:
            raise ConfigurationError(f"{name} is {value!r}; use one of {', '.join(map(str, allowed))}")
        return hint(value)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value).expanduser()
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str) and _is_number(value):
        return float(value)  # YAML 1.1 reads 3e-4 as text
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigurationError(f"{name} is {value!r}, must be of type {hint.__name__}")


def _tuple(arguments: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigurationError(f"{name} is {value!r}, must be a list")
    if arguments[-1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise ConfigurationError(f"{name} is {value!r}, must have {len(arguments)} entries")
    return tuple(_value(a, v, f"{name}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
