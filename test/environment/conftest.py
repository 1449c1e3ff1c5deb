"""Fixtures for tests of building and installing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def source_copy(repository: Path, tmp_path: Path) -> Path:
    """A scratch copy of what is, or would be, committed."""
    if shutil.which("git") is None or not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository, capture_output=True, check=True, timeout=60,
    ).stdout.decode()  # fmt: skip
    target = tmp_path / "source_copy"
    for name in filter(None, listed.split("\0")):
        source = repository / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target
