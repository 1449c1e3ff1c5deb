"""Starts a program once a lifecycle node is active.

`python -m distilldrive_ros.nodes.launching.wait_active NODE -- COMMAND…`

A bag must not start before the model is loaded. This process becomes the command, with its signals and exit code.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

PERIOD_S = 0.2
ANSWER_TIMEOUT_S = 2.0
REMINDER_S = 30.0


def wait_until_active(node: Node, name: str) -> None:
    """Ask the lifecycle node `name` for its state until it is active. Ends only with that, or with an exception."""
    client: Any = node.create_client(GetState, f"{name}/get_state")
    begun = said = time.monotonic()
    while not _is_active(node, client):
        if time.monotonic() - said > REMINDER_S:
            said = time.monotonic()
            node.get_logger().warning(
                f"{name} is not active after {said - begun:.0f} s; see its log, or activate it: "
                f"ros2 lifecycle set /{name} activate"
            )
        rclpy.spin_once(node, timeout_sec=PERIOD_S)


def _is_active(node: Node, client: Any) -> bool:
    if not client.service_is_ready():
        return False
    future = client.call_async(GetState.Request())
    rclpy.spin_until_future_complete(node, future, timeout_sec=ANSWER_TIMEOUT_S)
    if not future.done():
        client.remove_pending_request(future)
        return False
    return bool(future.result().current_state.id == State.PRIMARY_STATE_ACTIVE)


def main(argv: Sequence[str] | None = None) -> int:
    """Wait, then become the command. Returns 0 where the wait was interrupted, 2 for a wrong call."""
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) < 3 or words[1] != "--":
        print("usage: python -m distilldrive_ros.nodes.launching.wait_active NODE -- COMMAND…", file=sys.stderr)
        return 2
    try:
        rclpy.init(args=[])
        node = rclpy.create_node("wait_active", use_global_arguments=False)
        node.get_logger().info(f"waits until {words[0]} is active")
        wait_until_active(node, words[0])
        node.destroy_node()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception:
        # A signal takes the context away, and whatever is asked of it just then fails in a way of its own.
        if rclpy.ok():
            raise
        return 0
    finally:
        rclpy.try_shutdown()
    os.execvp(words[2], words[2:])


if __name__ == "__main__":
    sys.exit(main())
