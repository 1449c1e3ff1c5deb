"""Start and end of every node program: one way to spin, to stop and to fail."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from distilldrive_ros.scene.errors import DistillDriveError

# How soon a signal is noticed: Python handles it between two waits only.
SIGNAL_LATENCY_S = 0.1


def run_node(make: Callable[[], Node | Sequence[Node]], argv: Sequence[str] | None = None) -> int:
    """Make a node, or several for one process, and spin until SIGINT, SIGTERM or a shutdown of the context.

    A node may have `close()`, called before it is destroyed, and `exit_code`, set non-zero where it gave up.

    Args:
        make: builds the nodes, once ROS is initialised.
        argv: arguments with the program's name first; those of the process where None.

    Returns:
        0 after a requested end, 1 after an error of the user, which is printed as one line.
    """
    asked_to_stop: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        asked_to_stop.append(number)

    # Our own handlers: rclpy's would shut the context down at once, under the feet of a worker that still publishes.
    rclpy.init(args=None if argv is None else list(argv), signal_handler_options=SignalHandlerOptions.NO)
    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    executor = SingleThreadedExecutor()
    nodes: list[Node] = []
    try:
        made = make()
        nodes = [made] if isinstance(made, Node) else list(made)
        for node in nodes:
            executor.add_node(node)
        while rclpy.ok() and not asked_to_stop and not _exit_code(nodes):
            executor.spin_once(timeout_sec=SIGNAL_LATENCY_S)
    except DistillDriveError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except ExternalShutdownException:
        pass  # the context ended elsewhere: the same as a signal
    finally:
        _end(executor, nodes)
        for number, handler in previous.items():
            signal.signal(number, handler)
    return _exit_code(nodes)


def _exit_code(nodes: Sequence[Node]) -> int:
    return max((getattr(node, "exit_code", 0) for node in nodes), default=0)


def _end(executor: SingleThreadedExecutor, nodes: Sequence[Node]) -> None:
    for node in nodes:
        close = getattr(node, "close", None)
        if close is not None:
            close()
    executor.shutdown(timeout_sec=1.0)
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
