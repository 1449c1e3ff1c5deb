"""A drive through a world, kept whole: the world at every step, to be looked at by sensors afterwards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.interpolation import snapshot_between
from distilldrive_ros.worlds.session import Route, WorldSession
from distilldrive_ros.worlds.world import Appearance, EgoState, Place, Snapshot


class Driver(Protocol):
    """Drives the ego vehicle."""

    def step(self, session: WorldSession) -> EgoState:
        """Where the ego shall be one period later."""
        ...


@dataclass(frozen=True)
class Drive:
    """`snapshots`: the world at every step, the first at the start."""

    description: str
    place: Place
    appearance: Appearance
    route: Route
    snapshots: tuple[Snapshot, ...]

    @property
    def first_ns(self) -> int:
        """Start, ns after the world's epoch."""
        return self.snapshots[0].time_ns

    @property
    def last_ns(self) -> int:
        """End, ns after the world's epoch."""
        return self.snapshots[-1].time_ns

    def at(self, time_ns: int) -> Snapshot:
        """The world at an instant of the drive.

        Raises:
            ValueError: the instant lies outside.
        """
        after = min(max(bisect_right(self.snapshots, time_ns, key=lambda s: s.time_ns), 1), len(self.snapshots) - 1)
        return snapshot_between(self.snapshots[max(after - 1, 0)], self.snapshots[after], time_ns)


def record_drive(
    session: WorldSession, driver: Driver, duration_s: float, stepped: Callable[[], object] = lambda: None
) -> Drive:
    """Let somebody drive until the time is over or the world ends. The caller closes the session.

    `stepped` is called after every step.

    Raises:
        WorldError: the engine failed, or the world had ended before it began.
    """
    snapshots = [session.snapshot]
    while not session.ended and snapshots[-1].time_ns - snapshots[0].time_ns < duration_s * 1e9:
        snapshots.append(session.step(driver.step(session)))
        stepped()
    if len(snapshots) < 2:
        raise WorldError(f"world {session.name} ended before its first step; choose another seed")
    return Drive(session.description, session.place, session.appearance, session.route, tuple(snapshots))
