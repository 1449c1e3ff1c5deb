"""What a node that plays something does for its listeners: it waits until they are there, and until they have it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher

from distilldrive_ros.nodes.playing.sources import CLOCK_TOPIC
from distilldrive_ros.nodes.running.listener_gate import Awaited

POLL_S = 0.05
DELIVERY_S = 5.0


def wait_for_listeners(
    node: Node,
    publishers: Mapping[str, Publisher[Any]],
    awaited: Sequence[Awaited],
    at_least: int,
    timeout_s: float,
    stop: threading.Event,
) -> bool:
    """Give the listeners time to come: nobody repeats the first messages for them.

    Args:
        node: says in its log for whom it waits.
        publishers: by topic.
        awaited: topics, of `publishers` or of others in the graph, with the subscriptions that each must have.
        at_least: subscriptions that all publishers together must have; those of /clock do not count.
        timeout_s: after that it begins nevertheless, with a warning.
        stop: ends the waiting.

    Returns:
        Whether all came.
    """
    deadline = time.monotonic() + timeout_s
    missing = _missing(node, publishers, awaited, at_least)
    if missing:
        node.get_logger().info(f"waits for {missing}")
    while missing and not stop.wait(POLL_S):
        if time.monotonic() >= deadline:
            node.get_logger().warning(f"no {missing} after {timeout_s:g} s; begins nevertheless")
            return False
        missing = _missing(node, publishers, awaited, at_least)
    return not missing


def _missing(node: Node, publishers: Mapping[str, Publisher[Any]], awaited: Sequence[Awaited], at_least: int) -> str:
    def found(topic: str) -> int:
        publisher = publishers.get(topic)
        return node.count_subscribers(topic) if publisher is None else publisher.get_subscription_count()

    topics = [a.topic for a in awaited if found(a.topic) < a.count]
    if topics:
        return "subscribers of " + ", ".join(topics)
    count = sum(p.get_subscription_count() for topic, p in publishers.items() if topic != CLOCK_TOPIC)
    return f"{at_least} subscriptions (there are {count})" if count < at_least else ""


def await_delivery(publishers: Sequence[Publisher[Any]], stop: threading.Event) -> None:
    """Wait until reliable subscribers have what was sent, within limits."""
    deadline = time.monotonic() + DELIVERY_S
    for publisher in publishers:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or stop.is_set():
            return
        publisher.wait_for_all_acked(Duration(seconds=remaining))
