"""A node that listens only once somebody listens to it: nobody repeats the first results of a replay for him.

DDS matches every pair of publisher and subscription on its own, in any order. Where each node of a chain waits for the
next one, the first node's subscriptions are the proof that all the pairs behind it are matched, however slow the
machine is: a player that waits for them loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from distilldrive_ros.scene.errors import ConfigurationError

POLL_S = 0.05


@dataclass(frozen=True)
class Awaited:
    """A topic that needs so many subscriptions."""

    topic: str
    count: int


def parse_awaited(parameter: str, words: Sequence[str]) -> tuple[Awaited, ...]:
    """Read a list of `TOPIC` or `TOPIC:COUNT`; `parameter` names it in errors.

    Raises:
        ConfigurationError: a count is no whole number above 0.
    """
    awaited = []
    for word in words:
        topic, colon, count = word.partition(":")
        if not topic or (colon and (not count.isdecimal() or int(count) < 1)):
            raise ConfigurationError(
                f"parameter {parameter!r}: {word!r} is not TOPIC or TOPIC:COUNT with COUNT above 0"
            )
        awaited.append(Awaited(topic, int(count) if colon else 1))
    return tuple(awaited)


class ListenerGate:
    """Calls `listen` once every awaited publisher of a node has its subscriptions; at once where none is awaited."""

    def __init__(
        self, node: Node, words: Sequence[str], publishers: Mapping[str, Any], listen: Callable[[], None]
    ) -> None:
        """Begin to wait.

        Args:
            node: whose executor calls `listen`.
            words: value of its parameter `await_subscribers`.
            publishers: its outputs by the names that may be awaited.
            listen: makes the subscriptions.

        Raises:
            ConfigurationError: a word is malformed or names no output.
        """
        self._node, self._publishers, self._listen = node, publishers, listen
        self._awaited = parse_awaited("await_subscribers", words)
        unknown = [a.topic for a in self._awaited if a.topic not in publishers]
        if unknown:
            raise ConfigurationError(
                f"parameter 'await_subscribers' of node {node.get_name()}: it has no output {unknown[0]!r}; "
                f"there are: {', '.join(publishers)}"
            )
        self._timer: Any = None
        if self.missing:
            node.get_logger().info(f"listens once there are {self.missing}")
            # The steady clock: before a replay begins nobody sends /clock.
            self._timer = node.create_timer(POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        else:
            listen()

    @property
    def missing(self) -> str:
        """What is awaited still, in words; empty where nothing is."""
        return ", ".join(
            f"{a.count} subscriptions of {a.topic}"
            for a in self._awaited
            if self._publishers[a.topic].get_subscription_count() < a.count
        )

    def cancel(self) -> None:
        """Wait no longer. May be called twice."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None

    def _poll(self) -> None:
        if not self.missing:
            self.cancel()
            self._listen()
