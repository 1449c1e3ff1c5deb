"""The driving command: what the route asks for. Right, left, straight: the order of the networks (spec 2.2)."""

from __future__ import annotations

from enum import IntEnum


class Command(IntEnum):
    """`TrajectoryCandidates.COMMAND_*`."""

    RIGHT = 0
    LEFT = 1
    STRAIGHT = 2
    UNKNOWN = 255
