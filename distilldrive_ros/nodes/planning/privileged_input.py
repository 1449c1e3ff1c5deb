"""Ground truth for a privileged model: listens to a bag's annotations and puts them beside the sets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

import distilldrive_ros.msg as msg
from distilldrive_ros.nodes.conversions import objects_from_message, vector_map_from_message
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs
from distilldrive_ros.scene.sensor_frame import SensorFrame
from distilldrive_ros.sync.ground_truth_pairing import GroundTruthPairing

OBJECTS_TOPIC, ROUTE_TOPIC = "ground_truth/objects", "ground_truth/route"
SUBJECT = "ground_truth"
DEPTH = 100
# Truth and sensors are of one bag and come together; waiting longer than that means that there is none.
WAIT_NS = 10_000_000_000


class PrivilegedInput:
    """Subscribes; hands sets with their truth to `sink`, on the executor's thread."""

    def __init__(
        self,
        node: Node,
        diagnostics: DiagnosticsPublisher,
        inputs: GuardedInputs,
        sink: Callable[[SensorFrame], None],
    ) -> None:
        """Listen."""
        self._node, self._diagnostics, self._sink = node, diagnostics, sink
        self._pairing = GroundTruthPairing(WAIT_NS)
        self._seen = (0, 0)
        self._subscriptions = []
        kinds: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
            (msg.ObjectPredictions, OBJECTS_TOPIC, objects_from_message),
            (msg.VectorMap, ROUTE_TOPIC, vector_map_from_message),
        )
        for kind, topic, convert in kinds:
            self._subscriptions.append(
                inputs.listen(kind, topic, self._taker(convert), qos.reliable(DEPTH), subject=SUBJECT)
            )

    def add(self, frame: SensorFrame) -> None:
        """A set; handed on with its truth, now or when that comes."""
        for complete in self._pairing.add(frame, time.monotonic_ns()):
            self._sink(complete)

    def refresh(self) -> None:
        """Say how it goes since the last time."""
        self._pairing.poll(time.monotonic_ns())
        paired, left_out = self._pairing.paired, self._pairing.left_out
        without = left_out - self._seen[1] + self._pairing.waiting
        stuck = without > 0 and paired == self._seen[0]
        self._seen = (paired, left_out)
        if stuck:
            level = Level.WARN if paired else Level.ERROR
            words = (
                f"{without} sets without ground truth of their stamp: the model is privileged; play a bag of "
                f"`distilldrive convert` with {OBJECTS_TOPIC} and {ROUTE_TOPIC} (it needs the map expansion)"
            )
        else:
            level = Level.OK
            words = "privileged model: sees annotated road users and the map" if paired else "no set yet"
        self._diagnostics.set(SUBJECT, level, words, paired=paired, left_out=left_out)

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._diagnostics.clear(SUBJECT)

    def _taker(self, convert: Callable[[Any], Any]) -> Callable[[Any], None]:
        def take(message: Any) -> None:
            for complete in self._pairing.add_truth(convert(message), time.monotonic_ns()):
                self._sink(complete)

        return take
