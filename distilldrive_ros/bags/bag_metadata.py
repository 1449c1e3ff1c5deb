"""`metadata.yaml` of a rosbag2 folder, version 8, and the text form of QoS profiles in it and in MCAP channels.

Written directly: the general YAML emitter behind `rosbags` takes longer for one bag's metadata than copying 100 MB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import indent

from distilldrive_ros.bags.qos import TopicQos

# The newest version that Humble's rosbag2 should read as well; 9 changed the form of the QoS profiles.
METADATA_VERSION = 8
# rmw's value for "no limit", as rosbag2 itself writes it for deadline, lifespan and lease duration.
_INFINITE = "\n    sec: 9223372036\n    nsec: 854775807"


@dataclass(frozen=True)
class TopicMetadata:
    """What the metadata says of a topic; `type_hash` is the RIHS01 of the type."""

    name: str
    type: str
    type_hash: str
    qos: TopicQos
    count: int


def qos_text(qos: TopicQos) -> str:
    """One offered profile in the form of rosbag2 up to version 8, with the numbers of rmw's enumerations."""
    return (
        f"- history: {2 if qos.keep_all else 1}\n"
        f"  depth: {qos.depth}\n"
        f"  reliability: {1 if qos.reliable else 2}\n"
        f"  durability: {1 if qos.transient_local else 2}\n"
        f"  deadline:{_INFINITE}\n"
        f"  lifespan:{_INFINITE}\n"
        "  liveliness: 1\n"
        f"  liveliness_lease_duration:{_INFINITE}\n"
        "  avoid_ros_namespace_conventions: false"
    )


def information_text(
    file: str, topics: Sequence[TopicMetadata], start_ns: int, end_ns: int, custom: Mapping[str, str]
) -> str:
    """What a bag says of itself: this goes into the MCAP file, and by `metadata_text` into `metadata.yaml`.

    Args:
        file: name of the only data file, in the same folder.
        topics: in order of declaration.
        start_ns: stamp of the first message; `end_ns` of the last; both 0 in an empty bag.
        end_ns: see there.
        custom: facts to keep with the bag.
    """
    # YAML 1.2 contains JSON: scalars are quoted as JSON does it, so no text can break the structure.
    count, span = sum(t.count for t in topics), end_ns - start_ns
    lines = [
        f"version: {METADATA_VERSION}",
        "storage_identifier: mcap",
        "duration:",
        f"  nanoseconds: {span}",
        "starting_time:",
        f"  nanoseconds_since_epoch: {start_ns}",
        f"message_count: {count}",
        "topics_with_message_count:" + ("" if topics else " []"),
    ]
    for topic in topics:
        lines += [
            "  - topic_metadata:",
            f"      name: {json.dumps(topic.name)}",
            f"      type: {json.dumps(topic.type)}",
            "      serialization_format: cdr",
            f"      offered_qos_profiles: {json.dumps(qos_text(topic.qos))}",
            f"      type_description_hash: {json.dumps(topic.type_hash)}",
            f"    message_count: {topic.count}",
        ]
    lines += [
        'compression_format: ""',
        'compression_mode: ""',
        "relative_file_paths:",
        f"  - {json.dumps(file)}",
        "files:",
        f"  - path: {json.dumps(file)}",
        "    starting_time:",
        f"      nanoseconds_since_epoch: {start_ns}",
        "    duration:",
        f"      nanoseconds: {span}",
        f"    message_count: {count}",
        "custom_data:" + ("" if custom else " null"),
        *(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in custom.items()),
        "ros_distro: rosbags",
    ]
    return "\n".join(lines) + "\n"


def metadata_text(information: str) -> str:
    """Content of `metadata.yaml`."""
    return "rosbag2_bagfile_information:\n" + indent(information, "  ")
