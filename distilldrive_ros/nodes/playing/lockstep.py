"""Lock-step: the plan of one anchor message must be there before the next one is played."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass, field

# CDR encapsulation (4 bytes), then a header's stamp: int32 seconds, uint32 nanoseconds.
_LITTLE, _BIG = struct.Struct("<iI"), struct.Struct(">iI")


def header_stamp_ns(cdr: bytes) -> int:
    """Stamp of a serialised message that begins with a `std_msgs/Header`.

    Raises:
        ValueError: the bytes are too short to hold one.
    """
    if len(cdr) < 12:
        raise ValueError(f"{len(cdr)} bytes hold no header")
    seconds, nanoseconds = (_LITTLE if cdr[1] & 1 else _BIG).unpack_from(cdr, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


@dataclass
class LockStep:
    """Remembers which anchor stamp is out and lets the player wait for its plan. Any thread may acknowledge.

    `missed` counts anchors whose plan did not come in time.
    """

    stop: threading.Event
    missed: int = 0
    _awaited_ns: int | None = None
    _arrived: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def sent(self, stamp_ns: int) -> None:
        """An anchor message of that header stamp is about to be played."""
        with self._arrived:
            self._awaited_ns = stamp_ns

    def acknowledge(self, stamp_ns: int) -> None:
        """A plan with that header stamp has come."""
        with self._arrived:
            if stamp_ns == self._awaited_ns:
                self._awaited_ns = None
                self._arrived.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the plan that is due, if any; False where it did not come in time."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: self._awaited_ns is None or self.stop.is_set(), timeout_s)
            if not arrived:
                self.missed += 1
                self._awaited_ns = None
            return arrived

    def release(self) -> None:
        """Wake a waiting player after `stop` was set."""
        with self._arrived:
            self._arrived.notify_all()
