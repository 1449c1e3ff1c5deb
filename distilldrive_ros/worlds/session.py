"""How a world runs: somebody drives the ego, the traffic answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.command import Command
from distilldrive_ros.worlds.world import Appearance, EgoState, Place, Snapshot

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Route:
    """Where the ego shall go.

    `lanes` are tokens in driving order; `centerline` (N, 2) m; `turns`: where along the centre line (start m, end m)
    the route turns, and which way. Elsewhere it goes straight.
    """

    lanes: tuple[str, ...]
    centerline: Array
    turns: tuple[tuple[float, float, Command], ...]


class WorldSession(Protocol):
    """A world that runs. One owner, one thread; `close` frees what it holds and may be called twice."""

    name: str
    description: str
    place: Place
    appearance: Appearance
    route: Route

    @property
    def snapshot(self) -> Snapshot:
        """The world now."""
        ...

    def step(self, ego: EgoState) -> Snapshot:
        """Put the ego where it is `period_ns` later, let all others move for as long, and return the world then.

        Raises:
            WorldError: the engine behind it failed.
        """
        ...

    @property
    def period_ns(self) -> int:
        """Time of one step."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the world has no further steps."""
        ...

    def close(self) -> None:
        """End the engine behind it."""
        ...
