"""Quality of service as bags keep it: what the publisher of a topic offered."""

from __future__ import annotations

from dataclasses import dataclass

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosReliability


@dataclass(frozen=True)
class TopicQos:
    """The settings that decide whether a publisher and a subscriber match, and how much is kept.

    Named after rclpy's `QoSProfile`, so that a node makes one from the other field by field.
    """

    reliable: bool = True
    transient_local: bool = False
    depth: int = 10
    keep_all: bool = False


# Large and frequent. Reliable on offer serves reliable and best-effort subscribers alike: the subscriber chooses.
SENSOR_QOS = TopicQos(depth=5)
STATE_QOS = TopicQos(depth=100)
LATCHED_QOS = TopicQos(transient_local=True, depth=1)
DEFAULT_QOS = TopicQos()


def from_rosbags(profiles: list[Qos], topic: str) -> TopicQos:
    """The offer of a recorded topic with any number of publishers.

    As in `ros2 bag play`, one profile must serve what all of them offered: the weakest wins. Without any profile the
    default holds, but `/tf_static` is transient-local by its definition (tf2).
    """
    if not profiles:
        return LATCHED_QOS if topic.endswith("/tf_static") else DEFAULT_QOS
    return TopicQos(
        reliable=all(p.reliability is not QosReliability.BEST_EFFORT for p in profiles),
        transient_local=all(p.durability is QosDurability.TRANSIENT_LOCAL for p in profiles),
        depth=max([p.depth for p in profiles if p.depth > 0], default=DEFAULT_QOS.depth),
        keep_all=any(p.history is QosHistory.KEEP_ALL for p in profiles),
    )
