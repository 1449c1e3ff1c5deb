"""Values of a training configuration given on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from distilldrive_ros.scene.errors import ConfigurationError


def overrides(words: Sequence[str]) -> dict[str, object]:
    """Values by dotted name from words NAME=VALUE, the value in YAML.

    Raises:
        ConfigurationError: a word without `=`, or a value that is no YAML.
    """
    # Imported here: `--help` must work where nothing is installed.
    import yaml

    values: dict[str, object] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {word}: must be NAME=VALUE, such as run.seed=1")
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"--set {word}: the value is no YAML; put text in quotes") from error
    return values
