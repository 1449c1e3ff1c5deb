"""Parameters of the node `replay`."""

from __future__ import annotations

from dataclasses import dataclass

from distilldrive_ros.nodes.parameters.table import ParameterTable, parameter


@dataclass(frozen=True)
class ReplayConfiguration:
    """What to play, how fast, and when to begin."""

    bag: str = parameter("", "rosbag2 folder, or one .mcap or .db3 file", read_only=True)
    rate: float = parameter(
        1.0,
        "speed against the recording; 0 plays as fast as possible (give an ack_topic with it, or messages are lost)",
        low=0.0,
        high=1000.0,
        read_only=True,
    )
    loop: bool = parameter(False, "begin again at the end; /clock jumps back then", read_only=True)
    start_offset: float = parameter(
        0.0, "where to begin, after the first message; latched topics are given nevertheless", unit="s", low=0.0,
        read_only=True,
    )  # fmt: skip
    duration: float = parameter(0.0, "how much to play; 0: to the end", unit="s", low=0.0, read_only=True)
    topics: tuple[str, ...] = parameter((), "topics to play; empty: all", read_only=True)
    exclude_topics: tuple[str, ...] = parameter((), "topics to leave out", read_only=True)
    clock_rate: float = parameter(
        100.0, "/clock between the messages, beside the one before each message; 0: no /clock at all", unit="Hz",
        low=0.0, high=1000.0, read_only=True,
    )  # fmt: skip
    start_delay: float = parameter(0.0, "time between ready and the first message", unit="s", low=0.0, read_only=True)
    wait_for_subscribers: tuple[str, ...] = parameter(
        (),
        "topics of bag or graph that must have a subscriber (TOPIC:COUNT: so many) before the first message",
        read_only=True,
    )
    min_subscribers: int = parameter(
        0, "subscriptions that all played topics together must have before the first message", low=0, read_only=True
    )
    wait_timeout: float = parameter(
        60.0, "how long to wait for subscribers; then it plays with a warning", unit="s", low=0.0, read_only=True
    )
    ack_topic: str = parameter(
        "",
        "PathCandidates topic for lock-step: each anchor message waits until the plan of the one before is there",
        read_only=True,
    )
    ack_anchor_topic: str = parameter(
        "/lidar/points",
        "topic of the bag whose messages bring a plan each: the anchor's, or /sample_info with key_frames_only",
        read_only=True,
    )
    ack_timeout: float = parameter(
        10.0,
        "longest wait for one plan in lock-step; then it goes on with a warning",
        unit="s",
        low=0.0,
        read_only=True,
    )
    allow_truncated: bool = parameter(False, "play the readable part of a damaged bag", read_only=True)
    exit_at_end: bool = parameter(True, "end the program after the last message, exit code 0", read_only=True)


TABLE = ParameterTable("replay", ReplayConfiguration)
