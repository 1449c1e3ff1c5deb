"""Where a batch of drives gets its worlds and their renderers from."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Protocol

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.worlds.driving.sensor_set import Renderer
from distilldrive_ros.worlds.rig import Rig
from distilldrive_ros.worlds.scenarios.scenario import ScenarioKind, draw_scenario
from distilldrive_ros.worlds.session import WorldSession


class WorldSource(Protocol):
    """Worlds by their number. Whoever opens one closes it."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def open(self, number: int) -> WorldSession:
        """A world at its first instant, the same every time.

        Raises:
            WorldError: it cannot be made; the message says what to do.
        """
        ...

    def renderer(self, session: WorldSession, rig: Rig) -> Renderer:
        """Shows an open world through the sensors of a rig.

        Raises:
            WorldError: there is nothing to draw with.
        """
        ...


class GeneratedWorlds:
    """A `WorldSource` of scenarios, one per seed: places and traffic by SUMO, pictures by Panda3D."""

    def __init__(self, seed: int, count: int, kinds: Sequence[str] = (), duration_s: float = 20.0) -> None:
        """Choose the scenarios; nothing is built yet.

        Args:
            seed: of the first one; the next ones follow.
            count: how many.
            kinds: names of `ScenarioKind`; empty: all, in turn.
            duration_s: each world goes on for a second longer.

        Raises:
            ConfigurationError: a kind is unknown.
            WorldError: a number is out of its range.
        """
        chosen = [_kind(name) for name in kinds]
        self._scenarios = [draw_scenario(seed + number, chosen or None, duration_s + 1.0) for number in range(count)]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._scenarios)

    def open(self, number: int) -> WorldSession:
        """As `WorldSource`."""
        # Imported here, as the renderer in `scene_renderer`: both engines are optional, and rules need no pictures.
        from distilldrive_ros.worlds.traffic.session import GeneratedSession

        return GeneratedSession(self._scenarios[number])

    def renderer(self, session: WorldSession, rig: Rig) -> Renderer:
        """As `WorldSource`."""
        return scene_renderer(session, rig)


def scene_renderer(session: WorldSession, rig: Rig) -> Renderer:
    """Pictures and points of a world by Panda3D.

    Raises:
        WorldError: Panda3D is missing, or there is nothing to draw with.
    """
    from distilldrive_ros.worlds.rendering.renderer import SceneRenderer

    return SceneRenderer(session.place, session.appearance, rig)


def _kind(name: str) -> ScenarioKind:
    known = {kind.value: kind for kind in ScenarioKind}
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
        raise ConfigurationError(f"there is no kind of scenario {name!r}; {hint}")
    return known[name]
