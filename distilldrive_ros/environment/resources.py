"""Where the package's own files lie: message definitions, parameters, launch files, RViz files.

In a checkout that is the repository's root; after an installation `share/distilldrive_ros` of the prefix.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from distilldrive_ros.scene.errors import ConfigurationError

PACKAGE = "distilldrive_ros"


def share_directory() -> Path:
    """Folder that holds `msg/`, `config/`, `launch/` and `rviz/`.

    Raises:
        ConfigurationError: none of the usual places has them.
    """
    here = Path(__file__).resolve()
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    candidates = [here.parents[2], *(p / "share" / PACKAGE for p in [*prefixes, Path(sys.prefix), *here.parents])]
    for folder in candidates:
        if (folder / "msg").is_dir() and (folder / "config").is_dir():
            return folder
    raise ConfigurationError(
        f"the files of {PACKAGE} (msg/, config/) were not found; looked in "
        + ", ".join(str(c) for c in candidates[:4])
        + "; install the package again (make setup), or source the workspace's install/setup.bash"
    )


def config_file(name: str) -> Path:
    """A file under `config/`.

    Raises:
        ConfigurationError: there is no such file.
    """
    path = share_directory() / "config" / name
    if not path.is_file():
        known = sorted(str(p.relative_to(path.parents[0])) for p in path.parent.glob("*") if p.is_file())
        raise ConfigurationError(f"no configuration file {name}; there are: {', '.join(known) or 'none'}")
    return path
