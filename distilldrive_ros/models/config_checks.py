"""Checks that the configurations of all networks share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from distilldrive_ros.scene.errors import ConfigurationError


def require_consistent(name: str, problems: Mapping[str, object], presets: Iterable[str]) -> None:
    """Refuse a network whose dimensions contradict each other.

    Args:
        name: of the configuration.
        problems: rule in words by whether it is broken (truthy: it is).
        presets: names of configurations that are right.

    Raises:
        ConfigurationError: names every broken rule.
    """
    broken = [text for text, wrong in problems.items() if wrong]
    if broken:
        raise ConfigurationError(
            f"model configuration {name!r} is inconsistent: {'; '.join(broken)}; correct the value or start "
            f"from a preset ({', '.join(sorted(presets))})"
        )
