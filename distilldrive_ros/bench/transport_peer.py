"""The two processes of the transport benchmark: `send` and `receive`. Each prints one line of JSON when it is done."""

from __future__ import annotations

import array
import json
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage

from distilldrive_ros.bench.synthetic import jpeg
from distilldrive_ros.datasets.demo_scene.rig import CAMERAS

RATE_HZ = 12.0
DISCOVERY_LIMIT_S = 25.0
DRAIN_S = 0.7
TOPICS = tuple(f"camera/{mount.channel}/image/compressed" for mount in CAMERAS)
QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)


class Sender(Node):
    """Bursts of six images at 12 Hz; the stamp is the steady clock, which all processes of a host share."""

    def __init__(self) -> None:
        super().__init__("bench_sender")
        self._publishers_by_topic = [self.create_publisher(CompressedImage, topic, QOS) for topic in TOPICS]
        rng = np.random.default_rng(0)
        self._messages = [CompressedImage(format="jpeg", data=array.array("B", jpeg(rng).tobytes())) for _ in TOPICS]

    def wait_for_receiver(self) -> None:
        """Until every topic has its subscription.

        Raises:
            RuntimeError: that takes too long.
        """
        deadline = time.monotonic() + DISCOVERY_LIMIT_S
        while not all(p.get_subscription_count() for p in self._publishers_by_topic):
            if time.monotonic() > deadline:
                raise RuntimeError(f"no receiver found within {DISCOVERY_LIMIT_S:.0f} s")
            time.sleep(0.02)
        # The other side learns of the match a moment later.
        time.sleep(0.5)

    def send(self, seconds: float) -> int:
        """Number of images sent."""
        start, bursts = time.monotonic(), int(seconds * RATE_HZ)
        for burst in range(bursts):
            time.sleep(max(0.0, start + burst / RATE_HZ - time.monotonic()))
            for publisher, message in zip(self._publishers_by_topic, self._messages, strict=True):
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.monotonic_ns(), 1_000_000_000)
                publisher.publish(message)
        time.sleep(DRAIN_S)
        return bursts * len(TOPICS)


class Receiver(Node):
    """Notes how long every image took."""

    def __init__(self) -> None:
        super().__init__("bench_receiver")
        self.latencies_ms: list[float] = []
        for topic in TOPICS:
            self.create_subscription(CompressedImage, topic, self._on_image, QOS)

    def _on_image(self, message: CompressedImage) -> None:
        now = time.monotonic_ns()
        stamp = message.header.stamp
        self.latencies_ms.append((now - stamp.sec * 1_000_000_000 - stamp.nanosec) * 1e-6)


def main(arguments: Sequence[str]) -> int:
    """`send SECONDS` or `receive SECONDS`; the receiver stops when its input ends."""
    role, seconds = arguments[0], float(arguments[1])
    rclpy.init()
    try:
        if role == "send":
            sender = Sender()
            sender.wait_for_receiver()
            print(json.dumps({"sent": sender.send(seconds)}), flush=True)
            return 0
        receiver, over = Receiver(), threading.Event()

        def wait_for_end() -> None:
            sys.stdin.read()
            over.set()

        threading.Thread(target=wait_for_end, daemon=True).start()
        while not over.is_set():
            rclpy.spin_once(receiver, timeout_sec=0.05)
        print(json.dumps({"latencies_ms": receiver.latencies_ms}), flush=True)
        return 0
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
