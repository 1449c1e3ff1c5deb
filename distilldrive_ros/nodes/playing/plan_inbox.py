"""Plans of the graph on their way to the simulation's thread, and the wait for the plan of one set."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from nav_msgs.msg import Path

from distilldrive_ros.messages.plans import path_from_message
from distilldrive_ros.nodes.playing.lockstep import LockStep
from distilldrive_ros.worlds.driving.plan import DrivingPlan


@dataclass(frozen=True)
class Refusal:
    """The planner said that it has no plan for the set of that stamp."""

    stamp_ns: int
    cause: str


def plan_of_message(message: Path, base_frame: str = "base_link") -> DrivingPlan | Refusal:
    """The plan of a path whose poses are stamped with the times at which they are reached."""
    path = path_from_message(message)
    frame = path.frame_id.lstrip("/")
    if frame != base_frame:
        return Refusal(path.stamp_ns, f"the path is in frame {frame!r}, not {base_frame}")
    return DrivingPlan(path.stamp_ns, path.times, np.column_stack([path.positions, path.yaw]))


class PlanInbox:
    """Thread-safe: the executor puts in, the simulation takes out."""

    def __init__(self, stop: threading.Event) -> None:
        """`stop` ends every wait."""
        self._lock_step = LockStep(stop)
        self._arrived: deque[DrivingPlan | Refusal] = deque(maxlen=100)

    @property
    def missed(self) -> int:
        """Sets whose plan did not come in time."""
        return self._lock_step.missed

    def expect(self, stamp: int) -> None:
        """A set of that stamp is about to be published."""
        self._lock_step.sent(stamp)

    def put(self, entry: DrivingPlan | Refusal) -> None:
        """Something has come from the planner."""
        self._arrived.append(entry)
        self._lock_step.acknowledge(entry.stamp_ns)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the plan of the set that was announced; False where it did not come in time."""
        return self._lock_step.wait(timeout_s)

    def take(self) -> list[DrivingPlan | Refusal]:
        """Everything that has come since the last call, oldest first."""
        taken = []
        while self._arrived:
            taken.append(self._arrived.popleft())
        return taken

    def release(self) -> None:
        """Wake a waiting simulation after `stop` was set."""
        self._lock_step.release()
