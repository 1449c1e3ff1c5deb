"""A step that succeeded leaves a stamp with the fingerprint of its inputs; equal fingerprint, nothing to do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint(*parts: str | Path) -> str:
    """SHA-256 over texts and file contents (a missing file counts as such), in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            content = part.read_bytes() if part.is_file() else b"<missing>"
            label = part.name
        else:
            content, label = part.encode(), ""
        digest.update(f"{label}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def is_fresh(folder: Path, step: str, key: str) -> bool:
    """Whether `step` last succeeded with exactly these inputs."""
    stamp = folder / step
    return stamp.is_file() and stamp.read_text().strip() == key


def mark(folder: Path, step: str, key: str) -> None:
    """Notes that `step` succeeded with these inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{step}.partial"
    partial.write_text(key + "\n")
    partial.replace(folder / step)


def forget(folder: Path, steps: Iterable[str]) -> None:
    """Drops stamps, so that these steps run again; done before a step starts, since it may die half-way."""
    for step in steps:
        (folder / step).unlink(missing_ok=True)
