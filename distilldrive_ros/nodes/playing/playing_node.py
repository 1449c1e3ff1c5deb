"""A node that plays something to the graph on a thread of its own, and whose program ends when it is done."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from rclpy.node import Node
from rclpy.task import Future

from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.scene.errors import DistillDriveError


class Outcome(Protocol):
    """What was played; `error`: why it ended early."""

    error: DistillDriveError | None


R = TypeVar("R", bound=Outcome)


class PlayingNode(Node, Generic[R]):
    """Base of such nodes: `_play` on a thread; `finished` is a future that holds `result` at the end.

    The executor is free for acknowledgements and parameters. `exit_code` is set where the program has failed.
    """

    def __init__(self, name: str, result: R, **node_arguments: Any) -> None:
        """Make the node; `result` is filled while it plays, `node_arguments` go to `rclpy.node.Node`."""
        super().__init__(name, **node_arguments)
        self.result = result
        self.exit_code = 0
        self.finished: Future[R] = Future()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to play."""
        self.context.on_shutdown(self._stop.set)
        self._thread.start()

    def end_program(self) -> None:
        """End the program that holds this node alone, as its parameters and the result say."""
        error = self.finished.exception() or self.result.error
        if error is not None:
            self.exit_code = 1
            print(f"error: {error}", file=sys.stderr)
        elif self._failed():
            self.exit_code = 1
        elif self._exits_at_end():
            self.context.try_shutdown()

    def _play(self) -> None:
        """All of it, or until `_stop` is set. A `DistillDriveError` ends it and goes into the result."""
        raise NotImplementedError

    def _exits_at_end(self) -> bool:
        """Whether the parameters want the program to end with the play."""
        raise NotImplementedError

    def _failed(self) -> bool:
        """Whether the result is a failure though nothing was raised."""
        return False

    def _run(self) -> None:
        try:
            self._play()
        except DistillDriveError as error:
            self.result.error = error
        except Exception as error:
            # Ctrl-C takes the context away in the midst of a publish; that is an end like any other.
            if self.context.ok() and not self._stop.is_set():
                self.finished.set_exception(error)
                return
        self.finished.set_result(self.result)


def run_playing_node(make: Callable[[], PlayingNode[Any]], argv: Sequence[str] | None = None) -> int:
    """Program of such a node, made without being started: exit code 0 at the end or after a signal, else 1."""

    def started() -> Node:
        node = make()
        node.finished.add_done_callback(lambda _: node.end_program())
        node.start()
        return node

    return run_node(started, argv)
