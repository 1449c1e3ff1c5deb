"""What of a bag can be published here: topic filters, message classes, offered QoS."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from distilldrive_ros.bags.qos import TopicQos
from distilldrive_ros.bags.reader import TopicInfo
from distilldrive_ros.bags.typestore import message_types
from distilldrive_ros.environment.resources import PACKAGE
from distilldrive_ros.nodes.conversions.factory import type_class
from distilldrive_ros.scene.errors import BagError, ConfigurationError

CLOCK_TOPIC = "/clock"


def select_topics(
    recorded: Mapping[str, TopicInfo], wanted: Collection[str], excluded: Collection[str]
) -> dict[str, TopicInfo]:
    """Topics to play, in the bag's order; /clock never, for replay makes its own.

    Raises:
        ConfigurationError: a wanted or excluded topic is not in the bag, or nothing is left.
    """
    unknown = sorted((set(wanted) | set(excluded)) - set(recorded))
    known = ", ".join(sorted(recorded)) or "none"
    if unknown:
        raise ConfigurationError(f"the bag has no topic {', '.join(unknown)}; it has: {known}")
    chosen = {
        name: info
        for name, info in recorded.items()
        if (not wanted or name in wanted) and name not in excluded and name != CLOCK_TOPIC
    }
    if not chosen:
        raise ConfigurationError(f"no topic is left to play; the bag has: {known}")
    return chosen


def message_class(info: TopicInfo) -> Any:
    """Class of a topic's messages in this ROS installation, or None where it has no such type.

    Raises:
        BagError: a type of this package was recorded with another definition: its bytes would be misread.
    """
    found = type_class(info.type)
    if found is not None and info.type.startswith(f"{PACKAGE}/") and info.type_hash.startswith("RIHS01"):
        store = message_types()
        if info.type not in store.fielddefs or store.hash_rihs01(info.type) != info.type_hash:
            raise BagError(
                f"topic {info.name} was recorded with another definition of {info.type}; convert or record the bag "
                "again with this version"
            )
    return found


def qos_profile(qos: TopicQos) -> QoSProfile:
    """rclpy's form of what a topic's publisher offered."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_ALL if qos.keep_all else HistoryPolicy.KEEP_LAST,
        depth=qos.depth,
        reliability=ReliabilityPolicy.RELIABLE if qos.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if qos.transient_local else DurabilityPolicy.VOLATILE,
    )
