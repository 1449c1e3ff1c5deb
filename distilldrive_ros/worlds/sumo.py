"""Where SUMO's programs are."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from distilldrive_ros.scene.errors import WorldError

REMEDY = "install the extra packages of driving worlds: `make setup-world`"


def sumo_program(name: str) -> Path:
    """Path of one of SUMO's programs: of the package `eclipse-sumo`, of $SUMO_HOME, or on the search path.

    Raises:
        WorldError: it is not installed.
    """
    for home in _homes():
        path = home / "bin" / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    found = shutil.which(name)
    if found is None:
        raise WorldError(f"SUMO's program {name} was not found; {REMEDY}")
    return Path(found)


def _homes() -> list[Path]:
    """Places of SUMO, the best first. The package is not imported: its import changes the environment."""
    package = importlib.util.find_spec("sumo")
    homes = [Path(place) for place in (package.submodule_search_locations or ())] if package is not None else []
    if os.environ.get("SUMO_HOME"):
        homes.append(Path(os.environ["SUMO_HOME"]))
    return homes
