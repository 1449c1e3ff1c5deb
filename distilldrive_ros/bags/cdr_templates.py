"""Serialised messages of which only stamps and a few numbers change: made once by `rosbags`, then filled in.

A scene has thousands of odometry, transform and calibration messages that differ in nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from distilldrive_ros.bags.typed_messages import serialised

_STAMP = struct.Struct("<iI")


def placeholder_numbers(group: int, count: int) -> list[float]:
    """Values that mark the places of a group of float64 in a template; they occur nowhere else in it."""
    return [-7.0e77 - 1.0e75 * group - 1.0e72 * index for index in range(count)]


def placeholder_stamp_ns(index: int) -> int:
    """A stamp that marks the place of the template's stamp of that index."""
    return -1_234_567_890_000_000_000 - 1_000_000_007 * index


class MessageTemplate:
    """CDR of a message with gaps for stamps and for groups of float64."""

    def __init__(self, message: object, type: str, group_sizes: Sequence[int] = (), stamps: int = 1) -> None:
        """Serialise the message and find the gaps.

        Args:
            message: an object of `message_types()`, whose stamps are `placeholder_stamp_ns(index)` and whose groups
                hold `placeholder_numbers(group, size)`.
            type: its type.
            group_sizes: number of float64 of each group.
            stamps: number of stamps.

        Raises:
            ValueError: a placeholder is not in the message exactly once.
        """
        self._cdr = serialised(message, type)
        marks = [_STAMP.pack(*divmod(placeholder_stamp_ns(index), 1_000_000_000)) for index in range(stamps)]
        self._stamp_offsets = [self._find(mark, type) for mark in marks]
        self._groups: list[tuple[struct.Struct, int]] = []
        for group, size in enumerate(group_sizes):
            form = struct.Struct(f"<{size}d")
            self._groups.append((form, self._find(form.pack(*placeholder_numbers(group, size)), type)))

    def _find(self, mark: bytes, type: str) -> int:
        if self._cdr.count(mark) != 1:
            raise ValueError(f"{type}: a placeholder occurs {self._cdr.count(mark)} times, not once")
        return self._cdr.index(mark)

    def fill(self, stamps_ns: Sequence[int], *groups: Sequence[float]) -> bytearray:
        """The message with those stamps and values."""
        out = bytearray(self._cdr)
        for offset, stamp_ns in zip(self._stamp_offsets, stamps_ns, strict=True):
            _STAMP.pack_into(out, offset, *divmod(stamp_ns, 1_000_000_000))
        for (form, offset), values in zip(self._groups, groups, strict=True):
            form.pack_into(out, offset, *values)
        return out
