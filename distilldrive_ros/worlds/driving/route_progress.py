"""Where on its route the vehicle is, and what the route asks of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.driving_command import LATERAL_LIMIT_M
from distilldrive_ros.geometry.paths import Path
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.session import Route

Array = NDArray[np.float64]

# Between two steps the vehicle is looked for that far behind and ahead of where it was: routes may cross themselves.
SEARCH_BEHIND_M, SEARCH_AHEAD_M = 5.0, 30.0
# The command looks as far ahead as the labels of the data sets do, in time; no less than this distance at standstill.
COMMAND_HORIZON_S, COMMAND_SHORTEST_M = 3.0, 12.0


class RouteProgress:
    """Follows one vehicle along one route."""

    def __init__(self, route: Route, position: Array, longest_m: float) -> None:
        """Begin where the vehicle is. The goal is the end of the route, or `longest_m` from here if that is nearer.

        Raises:
            WorldError: the route's centre line has no length.
        """
        try:
            self._path = Path(route.centerline)
        except ValueError as error:
            raise WorldError(f"the route cannot be driven: {error}") from error
        self._start = self.along = float(self._path.locate(position)[0])
        self._goal = min(self._path.length, self._start + longest_m)

    def update(self, position: Array) -> None:
        """The vehicle is there now."""
        start = max(0.0, self.along - SEARCH_BEHIND_M)
        end = min(self._path.length, self.along + SEARCH_AHEAD_M)
        if end - start > 1e-3:
            self.along = start + float(self._path.part(start, end).locate(position)[0])

    @property
    def remaining_m(self) -> float:
        """Metres to the goal."""
        return self._goal - self.along

    @property
    def driven_m(self) -> float:
        """Metres along the route since the beginning; negative after reversing."""
        return self.along - self._start

    @property
    def completion(self) -> float:
        """Driven part of the way to the goal, 0 to 1."""
        whole = self._goal - self._start
        return float(np.clip(self.driven_m / whole, 0.0, 1.0)) if whole > 0 else 1.0

    def command(self, speed: float) -> Command:
        """What the route asks for: the rule of the data sets' labels, with the route in place of the driven way.

        Left or right where the route is 2 m or more beside its present direction in 3 s (`datasets.driving_command`).
        """
        here = self._path.poses(self.along)
        reach = max(COMMAND_SHORTEST_M, speed * COMMAND_HORIZON_S)
        ahead = self._path.poses(min(self.along + reach, self._path.length))
        left = -np.sin(here[2]) * (ahead[0] - here[0]) + np.cos(here[2]) * (ahead[1] - here[1])
        if left >= LATERAL_LIMIT_M:
            return Command.LEFT
        return Command.RIGHT if left <= -LATERAL_LIMIT_M else Command.STRAIGHT
