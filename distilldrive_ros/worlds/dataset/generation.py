"""Which code makes the worlds: roots are not continued by code that would make other ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilldrive_ros.scene.errors import WorldError

# Raised whenever the same seed or the same tables give something else: roads, traffic, the expert, pictures, points or
# tables. Roots that say nothing are older than 2.
GENERATION = 2
GENERATION_KEY = "generation"


def with_generation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a root as they are kept beside it."""
    return {**settings, GENERATION_KEY: GENERATION}


def require_generation(root: Path, begun: Mapping[str, Any]) -> None:
    """Make sure that a root was begun by code that makes the same worlds.

    Args:
        root: for the message.
        begun: what is kept beside it.

    Raises:
        WorldError: it was not.
    """
    found = begun.get(GENERATION_KEY, "1 or older")
    if found != GENERATION:
        raise WorldError(
            f"{root} was begun by another version of this software (generation {found} of its worlds, this one makes "
            f"{GENERATION}); go on with that version, or name a new folder with --out"
        )
