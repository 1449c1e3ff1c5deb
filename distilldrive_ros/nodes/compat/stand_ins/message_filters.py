"""Stands in for ROS's `message_filters`: matching messages of equal header stamps.

Differs on purpose in one point: a callback that raises leaves no lock behind (with the real one the next message would
wait for ever), so the nodes guard their callbacks in either case.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any


class SimpleFilter:
    """Something that passes messages on to callbacks."""

    def __init__(self) -> None:
        """No callbacks yet."""
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, cb: Callable[..., None], *args: Any) -> int:  # noqa: N802 (the real name)
        """Call `cb(*messages, *args)` with every output; returns the number of the connection."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (cb, args)
        return connection

    def signalMessage(self, *msg: Any) -> None:  # noqa: N802 (the real name)
        """Pass messages on."""
        for callback, args in tuple(self.callbacks.values()):
            callback(*msg, *args)


class Subscriber(SimpleFilter):
    """A subscription as the source of a chain: `Subscriber(node, type, topic, qos_profile=10, **kwargs)`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the subscription with the arguments of `Node.create_subscription`, without the callback."""
        super().__init__()
        self.node = args[0]
        self.topic = args[2]
        kwargs.setdefault("qos_profile", 10)
        self.sub = self.node.create_subscription(*args[1:], self.callback, **kwargs)

    def callback(self, msg: Any) -> None:
        """Pass a received message on."""
        self.signalMessage(msg)

    def getTopic(self) -> str:  # noqa: N802 (the real name)
        """The topic's name as it was given."""
        return str(self.topic)


class TimeSynchronizer(SimpleFilter):
    """Passes on one message of every input where all have the same header stamp."""

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        """Connect to the filters `fs`; each input keeps the `queue_size` newest stamps."""
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self.connectInput(fs)

    def connectInput(self, fs: Sequence[SimpleFilter]) -> None:  # noqa: N802 (the real name)
        """Listen to the filters `fs`, forgetting what was queued."""
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.input_connections = [
            f.registerCallback(self.add, q, i) for i, (f, q) in enumerate(zip(fs, self.queues, strict=True))
        ]

    def add(self, msg: Any, my_queue: dict[int, Any], my_queue_index: int | None = None) -> None:
        """Queue a message of one input and pass on every set that is complete, oldest first."""
        stamp = msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec
        with self.lock:
            my_queue[stamp] = msg
            while len(my_queue) > self.queue_size:
                del my_queue[min(my_queue)]
            complete = sorted(set.intersection(*(set(q) for q in self.queues)))
            sets = [[q.pop(t) for q in self.queues] for t in complete]
        for messages in sets:
            self.signalMessage(*messages)
