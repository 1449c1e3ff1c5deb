"""Driving commands in order of their stamps: each holds from its stamp until the next."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from distilldrive_ros.scene.command import Command


class CommandHistory:
    """The newest `length` commands; of equal stamps the one that came last holds."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._stamps: list[int] = []
        self._commands: list[Command] = []

    def __len__(self) -> int:
        return len(self._stamps)

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest command."""
        return self._stamps[-1] if self._stamps else None

    def add(self, stamp_ns: int, command: Command) -> None:
        """Take a command in."""
        at = bisect_left(self._stamps, stamp_ns)
        if at < len(self._stamps) and self._stamps[at] == stamp_ns:
            self._commands[at] = command
            return
        self._stamps.insert(at, stamp_ns)
        self._commands.insert(at, command)
        if len(self._stamps) > self._length:
            del self._stamps[0], self._commands[0]

    def at(self, stamp_ns: int, timeout_ns: int) -> Command | None:
        """The command that holds at a stamp; None if the last one before is older than the time-out."""
        at = bisect_right(self._stamps, stamp_ns) - 1
        if at < 0 or stamp_ns - self._stamps[at] > timeout_ns:
            return None
        return self._commands[at]

    def clear(self) -> None:
        """Forget everything."""
        self._stamps.clear()
        self._commands.clear()
