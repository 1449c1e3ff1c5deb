"""Quality-of-service profiles of the graph, and what happens when two ends do not fit."""

from __future__ import annotations

from typing import Any, Literal

from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level

Reliability = Literal["best_effort", "reliable"]

RELIABILITIES = {"best_effort": ReliabilityPolicy.BEST_EFFORT, "reliable": ReliabilityPolicy.RELIABLE}

REMEDIES = {
    "RELIABILITY": "set sensor_reliability to best_effort, or let the publisher be reliable",
    "DURABILITY": "let the publisher offer transient-local (ros2 bag play: see config/replay_qos.yaml)",
}


def sensor(reliability: str, depth: int) -> QoSProfile:
    """Sensor streams: volatile, the newest `depth` messages; reliability as the publisher offers it."""
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=RELIABILITIES[reliability])


def reliable(depth: int) -> QoSProfile:
    """Results between nodes: nothing lost, the newest `depth` messages."""
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)


def latched(depth: int = 1) -> QoSProfile:
    """What late subscribers must get too, as `/tf_static`: reliable and transient-local."""
    return QoSProfile(
        depth=depth,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def overridable() -> QoSOverridingOptions:
    """Lets history, depth and reliability of an endpoint be overridden by the `qos_overrides.<topic>` parameters."""
    return QoSOverridingOptions.with_default_policies()


def subscription_events(diagnostics: DiagnosticsPublisher, topic: str) -> SubscriptionEventCallbacks:
    """An incompatible publisher becomes an ERROR status that names topic and policy."""

    def incompatible(event: Any) -> None:
        diagnostics.set(f"qos/{topic}", Level.ERROR, _sentence("subscription to", "publisher", topic, event))

    return SubscriptionEventCallbacks(incompatible_qos=incompatible)


def publisher_events(diagnostics: DiagnosticsPublisher, topic: str) -> PublisherEventCallbacks:
    """An incompatible subscriber becomes a WARN status that names topic and policy: we work, he hears nothing."""

    def incompatible(event: Any) -> None:
        diagnostics.set(f"qos/{topic}", Level.WARN, _sentence("publisher of", "subscription", topic, event))

    return PublisherEventCallbacks(incompatible_qos=incompatible)


def _sentence(own: str, other: str, topic: str, event: Any) -> str:
    policy = QoSPolicyKind(event.last_policy_kind).name
    remedy = REMEDIES.get(policy, "use the same policy at both ends")
    return f"{own} {topic} and a {other} do not fit: policy {policy}; {remedy}"
