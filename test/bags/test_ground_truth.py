"""Reading ground truth back: what is not a converted bag, and what ROS itself makes of a converted one."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from distilldrive_ros.bags.ground_truth import read_ground_truth
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.bags.topics import OBJECTS, SAMPLE_INFO
from distilldrive_ros.bags.typestore import message_types
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.scene.errors import BagError


def test_bag_without_ground_truth_says_so(tmp_path):
    with BagWriter(tmp_path / "bag"):
        pass
    with pytest.raises(BagError, match="holds no ground truth"):
        read_ground_truth(tmp_path / "bag")


def test_key_frame_that_lacks_a_message_says_which(converted, tmp_path):
    _, bag = converted
    with open_bag(bag) as reader, BagWriter(tmp_path / "bag") as writer:
        for topic, info in reader.topics.items():
            writer.add_topic(topic, info.type, info.qos)
        lost = False
        for message in reader.messages():
            if message.topic == OBJECTS and not lost:
                lost = True
                continue
            writer.write(message.topic, message.cdr, message.stamp_ns)
    with pytest.raises(BagError, match=f"has no {OBJECTS}"):
        read_ground_truth(tmp_path / "bag")


def test_open_reader_may_be_passed(converted):
    _, bag = converted
    with open_bag(bag) as reader:
        truth = read_ground_truth(reader)
        assert len(truth) == reader.topics[SAMPLE_INFO].count


def test_ros_reads_every_message_of_the_bag(converted, ros_domain):
    """rclpy's own deserialiser agrees with ours, down to the bytes it writes again."""
    from rclpy.serialization import deserialize_message, serialize_message

    _, bag = converted
    seen = set()
    with open_bag(bag) as reader:
        for message in reader.messages():
            if message.topic in seen and message.topic != OBJECTS:
                continue
            seen.add(message.topic)
            package, _, name = message.type.split("/")
            ros = deserialize_message(message.cdr, getattr(importlib.import_module(f"{package}.msg"), name))
            ours = reader.deserialize(message)
            again = message_types().deserialize_cdr(serialize_message(ros), message.type)
            assert equal(again, ours), message.topic
    assert seen == set(reader.topics)


def equal(a: object, b: object) -> bool:
    """Whether two messages hold the same, NaN being equal to NaN."""
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "__msgtype__"):
        return all(equal(getattr(a, k), getattr(b, k)) for k in vars(a) if k != "__msgtype__")
    return a == b or (a != a and b != b)
