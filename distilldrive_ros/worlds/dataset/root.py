"""A data set root that grows scene by scene: each is put in place whole, then the tables are put together."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SHARED_TABLES, write_json
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.generation import require_generation, with_generation

VERSION = "v1.0-world"
TABLES_FOLDER = "tables"
REPORT_FILE = "report.json"
# Everything that is not the data set itself lies in this folder of the root.
WORKSHOP = ".world"
_SETTINGS_FILE, _SCENES, _BUILDING, _MERGING, _OUTDATED = "settings.json", "scenes", "building", "merging", "outdated"


class WorldRoot:
    """A root under construction. Only whole scenes are ever referred to by its tables.

    A scene is built in `staging(name)`, a small root of its own with `tables/` and `report.json`; `take(name)` moves it
    in. Killed at any moment, the next run finds whole scenes and does the rest.
    """

    def __init__(self, root: Path) -> None:
        """Name a folder; nothing is touched yet."""
        self.root = root
        self._workshop = root / WORKSHOP

    @contextmanager
    def building(self, settings: Mapping[str, Any]) -> Iterator[None]:
        """Hold the root for a run, making it where it is not there yet; what a killed run left behind is removed.

        Args:
            settings: what all scenes of the root share; a root takes scenes of one kind only.

        Raises:
            WorldError: the folder holds something else, was begun with other settings or by another version, is in
                use or not writable.
        """
        try:
            self._claim()
            with (self._workshop / "lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise WorldError(f"another run is making {self.root}; wait for its end") from error
                self._settle(settings)
                for leftover in (_BUILDING, _MERGING):
                    shutil.rmtree(self._workshop / leftover, ignore_errors=True)
                yield
        except OSError as error:
            raise unwritable(self.root, error) from error

    def _claim(self) -> None:
        mine = self._workshop.is_dir() or not self.root.exists()
        if not mine and not (self.root.is_dir() and not any(self.root.iterdir())):
            raise WorldError(f"{self.root} holds something else; name a new or an empty folder with --out")
        self._workshop.mkdir(parents=True, exist_ok=True)

    def _settle(self, settings: Mapping[str, Any]) -> None:
        path = self._workshop / _SETTINGS_FILE
        if not path.is_file():
            replace_json(path, with_generation(settings))
            return
        begun = _read_json(path)
        require_generation(self.root, begun)
        wrong = [name for name in settings if begun.get(name) != settings[name]]
        if wrong:
            said = ", ".join(f"{name} {begun.get(name)}" for name in wrong)
            raise WorldError(f"{self.root} was begun with {said}; use the same again, or another --out")

    def staging(self, name: str) -> Path:
        """The folder in which a scene is built; it is not there before."""
        return self._workshop / _BUILDING / name

    def take(self, name: str) -> None:
        """Move a scene that is whole from its staging folder into the root."""
        staging = self.staging(name)
        records = staging / TABLES_FOLDER
        (staging / REPORT_FILE).replace(records / REPORT_FILE)
        for path in sorted(staging.rglob("*")):
            if path.is_file() and records not in path.parents:
                target = self.root / path.relative_to(staging)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        kept = self._workshop / _SCENES / name
        kept.parent.mkdir(exist_ok=True)
        records.replace(kept)
        shutil.rmtree(staging)

    def scenes(self) -> dict[str, dict[str, Any]]:
        """Reports of the scenes that are there, by name, in order.

        Raises:
            WorldError: the folder is no root of this kind, or a report cannot be read.
        """
        if not self._workshop.is_dir():
            raise WorldError(f"{self.root} was not made by `distilldrive world make`")
        folder = self._workshop / _SCENES
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return {path.name: _read_json(path / REPORT_FILE) for path in found}

    def merge(self, splits: Mapping[str, Sequence[str]]) -> None:
        """Make the version's folder anew from all scenes that are there; `splits` names the scenes of each split.

        Texts are joined, not parsed: the tables of many scenes never are in memory at once.
        """
        folder = self._workshop / _MERGING
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shards = [self._workshop / _SCENES / name for name in self.scenes()]
        for table in sorted(p.name for p in shards[0].glob("*.json") if p.name != REPORT_FILE) if shards else []:
            shared = table.removesuffix(".json") in SHARED_TABLES
            _join([shard / table for shard in (shards[:1] if shared else shards)], folder / table)
        write_json(folder / "splits.json", {name: list(scenes) for name, scenes in splits.items()})
        current, outdated = self.root / VERSION, self._workshop / _OUTDATED
        shutil.rmtree(outdated, ignore_errors=True)
        if current.exists():
            current.replace(outdated)
        folder.replace(current)
        shutil.rmtree(outdated, ignore_errors=True)


def unwritable(what: object, error: OSError) -> WorldError:
    """One line for a file system that refuses."""
    return WorldError(
        f"cannot write {what}: {error.strerror or error}; mend that (space, permissions) and run the same command "
        "again: it goes on where it stopped"
    )


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write under a temporary name, then rename."""
    temporary = path.with_name(f".{path.name}.partial")
    write_json(temporary, content)
    temporary.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise WorldError(f"{path} cannot be read: {error}; remove its folder and make the scene again") from error


def _join(sources: Sequence[Path], target: Path) -> None:
    """Put JSON lists together to one."""
    with target.open("w", encoding="utf-8") as out:
        out.write("[")
        separator = ""
        for source in sources:
            rows = source.read_text(encoding="utf-8").strip()[1:-1]
            if rows:
                out.write(separator + rows)
                separator = ","
        out.write("]")
        out.flush()
        os.fsync(out.fileno())
