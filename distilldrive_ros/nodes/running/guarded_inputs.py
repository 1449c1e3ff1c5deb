"""Subscriptions of a node whose callbacks never raise, and that say so where a publisher does not fit them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from distilldrive_ros.nodes.compat import message_filters
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher
from distilldrive_ros.nodes.running.guard import CallbackGuard


@contextmanager
def gone_on_failure(node: Node) -> Iterator[None]:
    """Around the set-up of a node: where it fails, nothing of the node stays in the graph."""
    try:
        yield
    except BaseException:
        node.destroy_node()
        raise


class GuardedInputs:
    """Makes the subscriptions of one node."""

    def __init__(self, node: Node, diagnostics: DiagnosticsPublisher, guard: CallbackGuard) -> None:
        """Failures and misfits go to the diagnostics."""
        self._node, self._diagnostics, self._guard = node, diagnostics, guard

    def listen(
        self,
        kind: Any,
        topic: str,
        callback: Callable[[Any], None],
        profile: QoSProfile,
        subject: str = "",
        overridable: bool = False,
        raw: bool = False,
    ) -> Subscription[Any]:
        """Subscribe.

        Args:
            kind: class of the messages.
            topic: relative to the node's namespace, or absolute.
            callback: gets each message.
            profile: what is asked for.
            subject: of the diagnostics for failures of the callback; the topic where empty.
            overridable: `qos_overrides.<topic>` parameters may change the profile.
            raw: the callback gets serialised messages.
        """
        guarded = self._guard.wrap(subject or topic, callback)
        options = self._options(topic, overridable)
        return self._node.create_subscription(kind, topic, guarded, profile, raw=raw, **options)

    def matched(self, kind: Any, topic: str, profile: QoSProfile, overridable: bool = False) -> Any:
        """Input of a `message_filters` synchroniser."""
        options = self._options(topic, overridable)
        return message_filters.Subscriber(self._node, kind, topic, qos_profile=profile, **options)

    def _options(self, topic: str, overridable: bool) -> dict[str, Any]:
        events = qos.subscription_events(self._diagnostics, self._node.resolve_topic_name(topic))
        return {
            "event_callbacks": events,
            "qos_overriding_options": qos.overridable() if overridable else None,
        }
