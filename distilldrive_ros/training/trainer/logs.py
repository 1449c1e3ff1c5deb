"""Numbers of a training: TensorBoard events and one JSON line each, by iteration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.whole_files import StorageError, write_whole_file

LOG_FILE = "log.jsonl"


class TrainingLog:
    """Appends to `log.jsonl` and to TensorBoard's event files in one folder."""

    def __init__(self, folder: Path, start: int) -> None:
        """Go on from iteration `start`: later lines, of a run that was interrupted, are dropped.

        Raises:
            ConfigurationError: TensorBoard is not installed.
            StorageError: the folder cannot be written to.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter  # an extra: imported where it is needed
        except ImportError as error:
            raise ConfigurationError(
                "training logs need tensorboard, which is not installed; install the extra `train` "
                "(requirements-train.txt)"
            ) from error
        self._path = folder / LOG_FILE
        kept = [json.dumps(row) for row in read_log(folder) if row["iteration"] <= start]
        write_whole_file(self._path, lambda stream: stream.write("".join(f"{row}\n" for row in kept).encode()))
        self._writer = SummaryWriter(str(folder), purge_step=start + 1)

    def add(self, iteration: int, values: Mapping[str, float]) -> None:
        """Numbers after `iteration` iterations. Raises StorageError where the disk is full."""
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"iteration": iteration, **values}) + "\n")
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}; make room on the disk") from error
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def close(self) -> None:
        """Everything is on its way to the disk."""
        self._writer.close()


def read_log(folder: Path) -> list[dict[str, float]]:
    """Rows of `log.jsonl`; the last one, cut off by a crash, is left out."""
    rows = []
    path = folder / LOG_FILE
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
