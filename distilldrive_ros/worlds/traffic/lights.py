"""What the traffic lights of a place show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from distilldrive_ros.scene.errors import WorldError
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
        self._links: dict[tuple[str, int], str] = {}
        for link in net.links:
            if link.light:
                self._signals[light_name(link.source)].append((link.light, link.signal))
                self._links[link.light, link.signal] = link.name

    @property
    def names(self) -> tuple[str, ...]:
        """SUMO's names of the signal programs."""
        return tuple(sorted({program for signals in self._signals.values() for program, _ in signals}))

    def signal_of(self, lanes: Sequence[str]) -> tuple[str, int]:
        """Program and place in its state of the first light on a way over lanes.

        Raises:
            WorldError: there is none.
        """
        for lane in lanes:
            for program, number in self._signals.get(light_name(lane), []):
                if self._links.get((program, number)) in lanes:
                    return program, number
        raise WorldError("no traffic light on the ego's way; choose another kind of scenario")

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
