"""What the traffic lights of a place show."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from distilldrive_ros.worlds.scenarios.network import Network
from distilldrive_ros.worlds.scenarios.place import light_name
from distilldrive_ros.worlds.world import LightState

_LETTERS = {"G": LightState.GREEN, "g": LightState.GREEN, "y": LightState.YELLOW, "u": LightState.YELLOW}
# Where the links of one lane differ, the lane's light shows the first of these that comes up.
_ORDER = (LightState.GREEN, LightState.YELLOW, LightState.RED)


class Lights:
    """From SUMO's signals, one per link, to one light per lane."""

    def __init__(self, net: Network) -> None:
        """Note which signals rule which lane."""
        self._signals: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for link in net.links:
            if link.light:
                self._signals[light_name(link.source)].append((link.light, link.signal))

    @property
    def names(self) -> tuple[str, ...]:
        """SUMO's names of the signal programs."""
        return tuple(sorted({program for signals in self._signals.values() for program, _ in signals}))

    def states(self, programs: dict[str, dict[int, Any]]) -> dict[str, LightState]:
        """States by the place's tokens of lights.

        Args:
            programs: SUMO's answers: the state of each program, a letter per signal.
        """
        letters = {name: next(iter(values.values())) for name, values in programs.items()}
        out = {}
        for token, signals in self._signals.items():
            shown = {_LETTERS.get(letters[program][signal], LightState.RED) for program, signal in signals}
            out[token] = next(state for state in _ORDER if state in shown)
        return out
