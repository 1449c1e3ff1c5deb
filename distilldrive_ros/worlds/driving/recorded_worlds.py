"""Recorded scenes as worlds to drive in: traffic replays the log, whatever the vehicle does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import shapely

from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import ConfigurationError, DatasetError, WorldError
from distilldrive_ros.worlds.driving.sensor_set import Renderer
from distilldrive_ros.worlds.driving.world_source import WorldSource, scene_renderer
from distilldrive_ros.worlds.recorded_session import RecordedSession
from distilldrive_ros.worlds.rig import Rig
from distilldrive_ros.worlds.session import WorldSession

# Where the recorded vehicle went less far there is no route to drive, m.
SHORTEST_ROUTE_M = 10.0


class RecordedWorlds:
    """A `WorldSource` of the scenes of a root in the nuScenes schema; pixels and points of its own are not needed.

    The route is the way that was driven. There are no traffic lights: the tables know none.
    """

    def __init__(self, dataroot: Path, version: str, names: Sequence[str] = (), count: int | None = None) -> None:
        """Choose the scenes.

        Args:
            dataroot: folder with tables and map expansions.
            version: folder of the tables.
            names: of scenes, in this order; empty: all.
            count: only the first ones of these.

        Raises:
            DatasetError: no such root, version or scene.
            WorldError: there are fewer scenes.
        """
        self._nuscenes = NuScenes(dataroot.expanduser(), version)
        chosen = [self._nuscenes.scene(name) for name in names] or list(self._nuscenes.scenes)
        if not chosen or (count is not None and count > len(chosen)):
            raise WorldError(f"{count or 1} scene(s) wanted, but {dataroot} has {len(chosen)}; ask for fewer")
        self._scenes = chosen[:count]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._scenes)

    def open(self, number: int) -> WorldSession:
        """As `WorldSource`; a scene whose vehicle stands still is none to drive in."""
        scene = self._scenes[number]
        try:
            session = RecordedSession(self._nuscenes, scene)
        except DatasetError as error:
            raise WorldError(str(error)) from error
        length = shapely.LineString(session.route.centerline).length
        if length < SHORTEST_ROUTE_M:
            raise WorldError(f"{scene.name}: its vehicle went less than {SHORTEST_ROUTE_M:g} m, no way to be driven")
        return session

    def renderer(self, session: WorldSession, rig: Rig) -> Renderer:
        """As `WorldSource`."""
        return scene_renderer(session, rig)


def choose_worlds(
    generated: Callable[[], WorldSource],
    dataroot: str | Path | None,
    version: str,
    names: Sequence[str],
    count: int | None,
    kinds: Sequence[str],
) -> WorldSource:
    """Recorded scenes where a root is given, else generated worlds.

    Raises:
        DistillDriveError: options of one are given for the other, or there are no such worlds.
    """
    if not dataroot:
        if names:
            raise ConfigurationError(f"{', '.join(names)}: only recorded scenes have such names; give their dataroot")
        return generated()
    if kinds:
        raise ConfigurationError(f"kinds {', '.join(kinds)} are those of generated worlds; leave them or dataroot out")
    return RecordedWorlds(Path(dataroot), version, names, count)
