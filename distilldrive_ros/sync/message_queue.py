"""The messages of one sensor in order of their stamps, and which of them belongs to a set."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Choice(Generic[T]):
    """Answer for one expected stamp; `item` None: nothing fits. Not `decided`: a message to come could change it."""

    decided: bool
    stamp_ns: int
    item: T | None


class MessageQueue(Generic[T]):
    """At most `length` messages with distinct stamps; the oldest is pushed out."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._stamps: list[int] = []
        self._items: list[T] = []
        self.newest_ns: int | None = None

    def __len__(self) -> int:
        return len(self._stamps)

    def __contains__(self, stamp_ns: int) -> bool:
        at = bisect_left(self._stamps, stamp_ns)
        return at < len(self._stamps) and self._stamps[at] == stamp_ns

    def insert(self, stamp_ns: int, item: T) -> bool:
        """Put a message with a new stamp in its place; True if an old one had to go for it."""
        at = bisect_left(self._stamps, stamp_ns)
        self._stamps.insert(at, stamp_ns)
        self._items.insert(at, item)
        self.newest_ns = stamp_ns if self.newest_ns is None else max(self.newest_ns, stamp_ns)
        if len(self._stamps) <= self._length:
            return False
        self.drop_oldest()
        return True

    def drop_before(self, stamp_ns: int) -> None:
        """Forget messages stamped before."""
        count = bisect_left(self._stamps, stamp_ns)
        del self._stamps[:count], self._items[:count]

    def clear(self) -> None:
        """Forget everything, the newest stamp included."""
        self._stamps.clear()
        self._items.clear()
        self.newest_ns = None

    def oldest(self) -> tuple[int, T]:
        """Stamp and message at the front; the queue must not be empty."""
        return self._stamps[0], self._items[0]

    def drop_oldest(self) -> None:
        """Forget the message at the front."""
        del self._stamps[0], self._items[0]

    def drop_if(self, unwanted: Callable[[T], bool]) -> int:
        """Forget messages by their content; how many they were."""
        kept = [at for at, item in enumerate(self._items) if not unwanted(item)]
        dropped = len(self._items) - len(kept)
        self._stamps, self._items = [self._stamps[at] for at in kept], [self._items[at] for at in kept]
        return dropped

    def choose(self, target_ns: int, tolerance_ns: int, settle_ns: int) -> Choice[T]:
        """The message for an expected stamp.

        1. The earliest message within `settle_ns` of the target; decided as soon as it is there.
        2. Otherwise the nearest one within `tolerance_ns`, of two equally near ones the earlier; decided as
           soon as a message stamped at or after the target is there (later ones lie farther off).

        For messages that come in order of their stamps the decided answer depends on the stamps alone.
        """
        stamps = self._stamps
        at = bisect_left(stamps, target_ns - settle_ns)
        if at < len(stamps) and stamps[at] <= target_ns + settle_ns:
            return Choice(True, stamps[at], self._items[at])
        decided = self.newest_ns is not None and self.newest_ns >= target_ns
        after = bisect_left(stamps, target_ns)
        near = [i for i in (after - 1, after) if 0 <= i < len(stamps) and abs(stamps[i] - target_ns) <= tolerance_ns]
        if not near:
            return Choice(decided, target_ns, None)
        best = min(near, key=lambda i: abs(stamps[i] - target_ns))
        return Choice(decided, stamps[best], self._items[best])

    def newest_between(self, first_ns: int, last_ns: int) -> T | None:
        """The newest message stamped in [first, last], or None."""
        at = bisect_right(self._stamps, last_ns) - 1
        return self._items[at] if at >= 0 and self._stamps[at] >= first_ns else None
