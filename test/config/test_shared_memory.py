"""Fast DDS really takes the profile: bursts of six images in best effort arrive whole between two processes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from distilldrive_ros.nodes.launching.supervisor import graph_environment

BURSTS = 24

# Sends bursts of six messages of 170 kB in best effort, as six JPEG cameras do, once a line says that the reader has
# found every topic. All bursts together fit the segment: what is received does not depend on how fast the reader is.
SENDER = """
import array, rclpy, sys, time
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
rclpy.init()
node = rclpy.create_node("sender")
qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
publishers = [node.create_publisher(CompressedImage, f"burst_{i}", qos) for i in range(6)]
sys.stdin.readline()
deadline = time.monotonic() + 60
while not all(p.get_subscription_count() for p in publishers) and time.monotonic() < deadline:
    rclpy.spin_once(node, timeout_sec=0.05)
message = CompressedImage(data=array.array("B", bytes(170_000)))
for number in range(BURSTS):
    message.header.stamp.sec = number
    for publisher in publishers:
        publisher.publish(message)
    rclpy.spin_once(node, timeout_sec=0.05)
sys.stdin.readline()
"""
# Says "found", then how many images of each burst came, when the last burst is there or nothing has come for long.
READER = """
import collections, json, rclpy, time
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
rclpy.init()
node = rclpy.create_node("reader")
qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
seen = collections.Counter()
take = lambda message: seen.update([message.header.stamp.sec])
subscriptions = [node.create_subscription(CompressedImage, f"burst_{i}", take, qos) for i in range(6)]
deadline = time.monotonic() + 60
while not all(s.get_publisher_count() for s in subscriptions) and time.monotonic() < deadline:
    rclpy.spin_once(node, timeout_sec=0.05)
print("found", flush=True)
quiet = time.monotonic() + 15
while time.monotonic() < quiet and sum(seen.values()) < 6 * BURSTS:
    before = sum(seen.values())
    rclpy.spin_once(node, timeout_sec=0.1)
    if sum(seen.values()) > before:
        quiet = time.monotonic() + 15
print(json.dumps(sorted(seen.items())))
"""


@pytest.mark.slow
def test_bursts_of_images_arrive_whole(ros_domain):
    environment = graph_environment()
    assert environment["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("fastdds_shm.xml")

    def start(source):
        program = f"BURSTS = {BURSTS}\n{source}"
        command = [sys.executable, "-c", program]
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    sender, reader = start(SENDER), start(READER)
    assert reader.stdout.readline() == "found\n"
    sender.stdin.write("go\n")
    sender.stdin.flush()
    received = dict(json.loads(reader.communicate(timeout=90)[0]))
    sender.communicate("end\n", timeout=60)
    assert received == dict.fromkeys(range(BURSTS), 6)
