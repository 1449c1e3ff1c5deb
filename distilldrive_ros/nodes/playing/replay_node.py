"""Node `replay`: plays a bag's serialised messages with their recorded stamps, and /clock.

Nothing is deserialised on the way: subscribers get the recorded bytes. Latched topics come first, then a wait for
subscribers, so that the first frames are not lost.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from tqdm import tqdm

from distilldrive_ros.bags.reader import BagMessage, BagReader, open_bag
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.replay import TABLE
from distilldrive_ros.nodes.playing.delivery import await_delivery, wait_for_listeners
from distilldrive_ros.nodes.playing.lockstep import LockStep, header_stamp_ns
from distilldrive_ros.nodes.playing.pacing import ReplayPacer
from distilldrive_ros.nodes.playing.playing_node import PlayingNode, run_playing_node
from distilldrive_ros.nodes.playing.sources import CLOCK_TOPIC, message_class, qos_profile, select_topics
from distilldrive_ros.nodes.running.guarded_inputs import gone_on_failure
from distilldrive_ros.nodes.running.listener_gate import parse_awaited
from distilldrive_ros.scene.errors import BagError, ConfigurationError, DistillDriveError

_NS = 1_000_000_000


@dataclass
class ReplayResult:
    """What was played. `passes`: complete passes over the bag; `missed_acks`: plans that did not come in lock-step."""

    messages: Counter[str] = field(default_factory=Counter)
    passes: int = 0
    missed_acks: int = 0
    skipped_types: dict[str, str] = field(default_factory=dict)
    error: DistillDriveError | None = None


class ReplayNode(PlayingNode[ReplayResult]):
    """Plays one bag on its own thread; the executor only serves the acknowledgements and parameters.

    `finished` is a future that holds the `ReplayResult` when the last message is delivered, or when it failed.
    """

    def __init__(self, start: bool = True, **node_arguments: Any) -> None:
        """Open the bag and offer its topics.

        Args:
            start: begin to play at once; else `start()` does.
            node_arguments: for `rclpy.node.Node` (context, parameter_overrides, namespace, …).

        Raises:
            BagError: the bag is missing or damaged.
            ConfigurationError: a parameter is wrong, or names a topic that the bag does not have.
        """
        super().__init__("replay", ReplayResult(), **node_arguments)
        with gone_on_failure(self):
            self._setup()
        if start:
            self.start()

    def _setup(self) -> None:
        self._settings = ParameterServer(self, TABLE).current
        if not self._settings.bag:
            raise ConfigurationError("parameter 'bag' of node replay is empty; give a bag: -p bag:=FOLDER")
        self._awaited = parse_awaited("wait_for_subscribers", self._settings.wait_for_subscribers)
        self._pacer = ReplayPacer(self._settings.rate, self._stop)
        self._lock_step = LockStep(self._stop)
        self._clock_ns: int | None = None
        self._bag: BagReader = open_bag(self._settings.bag, salvage=self._settings.allow_truncated)
        try:
            self._refuse_empty_range()
            self._offered = self._offer_topics()
            self._listen_for_plans()
        except BaseException:
            self._bag.close()
            raise
        self._clock_publisher = self.create_publisher(Clock, CLOCK_TOPIC, QoSProfile(depth=10))

    def _offer_topics(self) -> dict[str, Publisher[Any]]:
        chosen = select_topics(self._bag.topics, self._settings.topics, self._settings.exclude_topics)
        offered = {}
        for name, info in chosen.items():
            kind = message_class(info)
            if kind is None:
                self.result.skipped_types[name] = info.type
                self.get_logger().warning(f"{name} is skipped: {info.type} is not installed here")
            else:
                offered[name] = self.create_publisher(kind, name, qos_profile(info.qos))
        if not offered:
            raise BagError(f"{self._bag.path}: no message type of the chosen topics is installed here")
        return offered

    def _listen_for_plans(self) -> None:
        if not self._settings.ack_topic:
            return
        if self._settings.ack_anchor_topic not in self._offered:
            raise ConfigurationError(
                f"parameter 'ack_anchor_topic' of node replay: {self._settings.ack_anchor_topic} is not played; "
                f"played are: {', '.join(self._offered)}"
            )
        from distilldrive_ros.msg import PathCandidates

        self.create_subscription(
            PathCandidates, self._settings.ack_topic, self._acknowledge, QoSProfile(depth=10), raw=True
        )

    def _acknowledge(self, cdr: bytes) -> None:
        self._lock_step.acknowledge(header_stamp_ns(cdr))

    def stop(self) -> None:
        """End playing and wait for the thread. May be called at any time and twice."""
        self._stop.set()
        self._lock_step.release()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=10.0)
        self._bag.close()

    def close(self) -> None:
        """Stop; before the node is destroyed."""
        self.stop()

    def _exits_at_end(self) -> bool:
        return self._settings.exit_at_end

    def _play(self) -> None:
        try:
            self._play_all()
        finally:
            self.result.missed_acks = self._lock_step.missed

    def _play_all(self) -> None:
        offset, topics = self._settings.start_offset, list(self._offered)
        self._publish_latched()
        settings, listened = self._settings, {**self._offered, CLOCK_TOPIC: self._clock_publisher}
        wait_for_listeners(self, listened, self._awaited, settings.min_subscribers, settings.wait_timeout, self._stop)
        # Who is matched gets the latched messages in his own time: the transforms before what they are needed for.
        latched = {m.topic for m in self._bag.latched(offset)}
        await_delivery([p for topic, p in self._offered.items() if topic in latched], self._stop)
        if self._stop.wait(self._settings.start_delay):
            return
        self.get_logger().info(
            f"plays {self._bag.path} from {offset:.2f} s of {self._bag.duration_s:.2f} s, {len(topics)} topics, "
            + (f"rate {self._settings.rate:g}" if self._settings.rate else "as fast as possible")
        )
        while self._play_once(offset, topics):
            self.result.passes += 1
            if not self._settings.loop:
                break
            self._publish_latched()
        if self.context.ok():
            # Leaving at once would take away the last messages that reliable subscribers still fetch.
            await_delivery(list(self._offered.values()), self._stop)
            self.get_logger().info(self._summary())

    def _refuse_empty_range(self) -> None:
        if self._settings.start_offset > self._bag.duration_s:
            raise ConfigurationError(
                f"parameter 'start_offset' of node replay is {self._settings.start_offset} s, behind the end of "
                f"the bag ({self._bag.duration_s:.2f} s)"
            )

    def _publish_latched(self) -> None:
        for message in self._bag.latched(self._settings.start_offset):
            if message.topic in self._offered:
                self._offered[message.topic].publish(bytes(message.cdr))

    def _play_once(self, offset: float, topics: list[str]) -> bool:
        """One pass; False where it was stopped."""
        begin_ns = self._bag.start_ns + round(offset * _NS)
        end_ns = begin_ns + round(self._settings.duration * _NS) if self._settings.duration else self._bag.end_ns
        tick_ns = round(_NS / self._settings.clock_rate) if self._settings.clock_rate else 0
        self._clock_ns = None
        self._pacer.restart(begin_ns)
        seconds = (min(end_ns, self._bag.end_ns) - begin_ns) / _NS
        with tqdm(
            total=round(seconds, 2), unit="s", desc="replay", disable=not sys.stderr.isatty(), leave=False
        ) as progress:
            for message in self._readable(offset, topics):
                if message.stamp_ns > end_ns:
                    break
                self._wait_for_plan(message)
                if not self._pacer.wait_for(message.stamp_ns, self._publish_clock, tick_ns):
                    return False
                self._publish(message)
                progress.update((message.stamp_ns - begin_ns) / _NS - progress.n)
        if self._settings.ack_topic:
            self._await_plan()
        return not self._stop.is_set()

    def _readable(self, offset: float, topics: list[str]) -> Iterator[BagMessage]:
        """The bag's messages; damage in the midst ends them where that is allowed."""
        try:
            yield from self._bag.messages(start_offset_s=offset, topics=topics)
        except BagError as error:
            if not self._settings.allow_truncated:
                raise
            self.get_logger().warning(f"{error}; the rest is left out")

    def _wait_for_plan(self, message: BagMessage) -> None:
        if not self._settings.ack_topic or message.topic != self._settings.ack_anchor_topic:
            return
        self._await_plan()
        self._lock_step.sent(header_stamp_ns(message.cdr))

    def _await_plan(self) -> None:
        begin = time.monotonic_ns()
        if not self._lock_step.wait(self._settings.ack_timeout):
            self.get_logger().warning(
                f"no plan on {self._settings.ack_topic} within {self._settings.ack_timeout:g} s; goes on "
                f"({self._lock_step.missed} missed)",
                throttle_duration_sec=5.0,
            )
        self._pacer.hold(time.monotonic_ns() - begin)

    def _publish(self, message: BagMessage) -> None:
        self._publish_clock(message.stamp_ns)
        self._offered[message.topic].publish(bytes(message.cdr))
        self.result.messages[message.topic] += 1

    def _publish_clock(self, stamp_ns: int) -> None:
        """Recorded time, never backward within a pass."""
        if not self._settings.clock_rate or (self._clock_ns is not None and stamp_ns <= self._clock_ns):
            return
        self._clock_ns = stamp_ns
        clock = Clock()
        clock.clock.sec, clock.clock.nanosec = divmod(stamp_ns, _NS)
        self._clock_publisher.publish(clock)

    def _summary(self) -> str:
        counts = ", ".join(f"{topic} {count}" for topic, count in sorted(self.result.messages.items()))
        total = sum(self.result.messages.values())
        missed = f", {self._lock_step.missed} plans missed" if self._lock_step.missed else ""
        return f"played {total} messages in {self.result.passes} passes{missed}: {counts or 'none'}"


def main(argv: Sequence[str] | None = None) -> int:
    """Program `replay`: exit code 0 at the end or after a signal, 1 with one line on standard error otherwise."""
    return run_playing_node(lambda: ReplayNode(start=False), argv)


if __name__ == "__main__":
    sys.exit(main())
