"""Which stamps to believe: single wild stamps are held back, a jump that most streams make together is a jump
of time.

There is no wall clock to compare with in a replay, so streams vouch for each other. A stamp is an outlier if
it lies more than `max_future` ahead of, or more than `backward_jump` behind, both the newest stamp of its own
stream and the newest of all others. Outliers are held back. If the stream returns to ordinary stamps, they
were errors and are discarded. If most of the streams heard lately are held back in one direction, time itself
has jumped (a bag has looped, or was paused), and the held messages are released in the order of their
arrival: nothing of the new pass is lost, so two passes give the same sets. Stragglers of the old pass that
arrive after the jump are a minority: they are held back and discarded in their turn.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

# A stream silent for longer than this (arrival clock) has no vote on a jump of time.
ACTIVE_NS = 2_000_000_000


class Jump(Enum):
    """Direction of a jump of time."""

    NONE = "none"
    AHEAD = "ahead"
    BACKWARD = "backward"


@dataclass(frozen=True)
class Held(Generic[T]):
    """A message held back."""

    stream: str
    stamp_ns: int
    jump: Jump
    message: T
    order: int


@dataclass(frozen=True)
class Verdict(Generic[T]):
    """What to do after a message: apply `jump`, take the `released` messages in order, count the `discarded` ones."""

    jump: Jump
    released: tuple[tuple[str, int, T], ...]
    discarded: tuple[Held[T], ...]


class TimeGuard(Generic[T]):
    """Holds at most `length` messages per stream back."""

    def __init__(self, max_future_ns: int, backward_jump_ns: int, length: int) -> None:
        self._max_future_ns = max_future_ns
        self._backward_jump_ns = backward_jump_ns
        self._length = length
        self._newest: dict[str, int] = {}
        self._heard: dict[str, int] = {}
        self._held: dict[str, deque[Held[T]]] = {}
        self._order = 0

    @property
    def newest_ns(self) -> int | None:
        """The newest stamp believed, or None."""
        return max(self._newest.values(), default=None)

    @property
    def num_held(self) -> int:
        """Messages held back now."""
        return sum(map(len, self._held.values()))

    def clear(self) -> int:
        """Forget stamps and held messages (not who was heard when); the number of messages forgotten."""
        count = self.num_held
        self._newest.clear()
        self._held.clear()
        return count

    def judge(self, stream: str, stamp_ns: int, message: T, now_ns: int) -> Verdict[T]:
        """Take a message of a stream in."""
        self._heard[stream] = now_ns
        jump = self._classify(stream, stamp_ns)
        if jump is Jump.NONE:
            self._newest[stream] = max(stamp_ns, self._newest.get(stream, stamp_ns))
            discarded = tuple(self._held.pop(stream, ()))
            return Verdict(Jump.NONE, ((stream, stamp_ns, message),), discarded)
        held = self._held.setdefault(stream, deque())
        pushed_out = (held.popleft(),) if len(held) >= self._length else ()
        held.append(Held(stream, stamp_ns, jump, message, self._order))
        self._order += 1
        if not self._most_streams_jumped(jump, now_ns):
            return Verdict(Jump.NONE, (), pushed_out)
        return self._release(jump, pushed_out)

    def _classify(self, stream: str, stamp_ns: int) -> Jump:
        references = [newest for name, newest in self._newest.items() if name != stream]
        references = [max(references)] if references else []
        if stream in self._newest:
            references.append(self._newest[stream])
        if references and all(stamp_ns > newest + self._max_future_ns for newest in references):
            return Jump.AHEAD
        if references and all(stamp_ns < newest - self._backward_jump_ns for newest in references):
            return Jump.BACKWARD
        return Jump.NONE

    def _most_streams_jumped(self, jump: Jump, now_ns: int) -> bool:
        active = {name for name, heard in self._heard.items() if now_ns - heard <= ACTIVE_NS}
        voters = sum(1 for name in active if name in self._held and self._held[name][-1].jump is jump)
        return 2 * voters > len(active) and voters >= min(2, len(self._heard))

    def _release(self, jump: Jump, pushed_out: tuple[Held[T], ...]) -> Verdict[T]:
        everything = sorted((held for queue in self._held.values() for held in queue), key=lambda held: held.order)
        released = [held for held in everything if held.jump is jump]
        discarded = tuple(held for held in everything if held.jump is not jump)
        self._held.clear()
        if jump is Jump.BACKWARD:
            self._newest.clear()
        for held in released:
            self._newest[held.stream] = max(held.stamp_ns, self._newest.get(held.stream, held.stamp_ns))
        return Verdict(jump, tuple((h.stream, h.stamp_ns, h.message) for h in released), pushed_out + discarded)
