"""What the set-up says: one line per step that has something to do, live on a terminal, silent otherwise."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TextIO


class StepReporter:
    """Context manager around one step; prints its name, elapsed time and outcome."""

    def __init__(self, number: int, total: int, title: str, stream: TextIO | None = None) -> None:
        self._head = f"[{number}/{total}] {title}"
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Elapsed time, s."""
        return time.monotonic() - self._start

    def __enter__(self) -> StepReporter:
        if not self._live:
            self._write(f"{self._head} ...\n")
        return self

    def progress(self, line: str) -> None:
        """Shows the latest line of the running tool (terminals only)."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            text = f"{self._head}  {self.seconds:3.0f} s  {line.strip()}"
            self._write("\r" + text[:width].ljust(width))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
        if kind is None:
            self._write(f"{self._head}: done in {self.seconds:.1f} s\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
