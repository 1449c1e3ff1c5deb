"""A step runs again exactly when its inputs change."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilldrive_ros.environment import stamps


def test_equal_inputs_give_equal_fingerprints(tmp_path: Path) -> None:
    file = tmp_path / "a.msg"
    file.write_text("float64 x\n")
    assert stamps.fingerprint("text", file) == stamps.fingerprint("text", file)


@pytest.mark.parametrize("change", ["content", "name", "order", "missing", "boundary"])
def test_any_change_of_inputs_shows(tmp_path: Path, change: str) -> None:
    first, second = tmp_path / "a.msg", tmp_path / "b.msg"
    first.write_text("float64 x\n")
    second.write_text("float64 y\n")
    before = stamps.fingerprint("ab", first, second)
    if change == "content":
        first.write_text("float32 x\n")
        after = stamps.fingerprint("ab", first, second)
    elif change == "name":
        after = stamps.fingerprint("ab", first.rename(tmp_path / "c.msg"), second)
    elif change == "order":
        after = stamps.fingerprint("ab", second, first)
    elif change == "missing":
        second.unlink()
        after = stamps.fingerprint("ab", first, second)
    else:
        after = stamps.fingerprint("a", "b", first, second)
    assert after != before


def test_a_stamp_holds_for_its_key_only(tmp_path: Path) -> None:
    folder = tmp_path / "stamps"
    assert not stamps.is_fresh(folder, "venv", "k1")
    stamps.mark(folder, "venv", "k1")
    assert stamps.is_fresh(folder, "venv", "k1")
    assert not stamps.is_fresh(folder, "venv", "k2")
    assert not stamps.is_fresh(folder, "packages", "k1")
    stamps.forget(folder, ["venv", "packages"])
    assert not stamps.is_fresh(folder, "venv", "k1")
