"""A ROS domain that no other graph of this package on this machine uses."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

from distilldrive_ros.scene.errors import DistillDriveError

# Ids above 101 meet the ports that Linux hands out to clients; 0 is everybody's default.
DOMAINS = range(1, 102)

# Locks live as long as the process: closing the file would give the domain back.
_held: dict[int, IO[str]] = {}


def reserve_domain() -> int:
    """Reserve a domain id for the life of this process and return it.

    The first one tried follows the process id, so that programs which know nothing of the reservation rarely meet us.

    Raises:
        DistillDriveError: all of them are taken.
    """
    folder = Path(tempfile.gettempdir())
    for step in range(len(DOMAINS)):
        domain = DOMAINS[(os.getpid() + step) % len(DOMAINS)]
        if domain in _held:
            continue
        try:
            file = (folder / f"distilldrive_ros-domain-{domain}-{os.getuid()}.lock").open("w")
        except OSError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _held[domain] = file
        return domain
    raise DistillDriveError("every ROS domain is taken; set ROS_DOMAIN_ID yourself, or end other graphs")
