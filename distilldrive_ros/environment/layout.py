"""Where the set-up keeps its things: one virtual environment per checkout, everything made lies inside it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "distilldrive_ros"


@dataclass(frozen=True)
class Layout:
    """Paths of a checkout and of its virtual environment.

    Attributes:
        root: the checkout, absolute.
        venv: the virtual environment, absolute; also the prefix into which the messages are installed.
        python_version: (major, minor) of the environment's interpreter.
    """

    root: Path
    venv: Path
    python_version: tuple[int, int]

    @staticmethod
    def of(root: Path, venv: Path) -> Layout:
        """Layout for the running interpreter; a relative `venv` is taken from the checkout."""
        root = root.resolve()
        return Layout(root, (root / venv).resolve(), (sys.version_info[0], sys.version_info[1]))

    @property
    def module(self) -> Path:
        """The Python module in the checkout."""
        return self.root / PACKAGE

    @property
    def requirements(self) -> Path:
        """Folder of the requirement files."""
        return self.module / "environment"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.venv / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """The environment's package folder."""
        major, minor = self.python_version
        return self.venv / "lib" / f"python{major}.{minor}" / "site-packages"

    @property
    def share(self) -> Path:
        """The package's data folder in the prefix."""
        return self.venv / "share" / PACKAGE

    @property
    def stamps(self) -> Path:
        """One file per finished step."""
        return self.venv / "stamps"

    @property
    def logs(self) -> Path:
        """One log file per step."""
        return self.venv / "log"

    @property
    def build(self) -> Path:
        """CMake's build folders and generated interface packages."""
        return self.venv / "build"
