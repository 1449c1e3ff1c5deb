"""The installer as a program: unsupported interpreters are told so in one line."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from distilldrive_ros.environment import install


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12), (3, 13)])
def test_supported_interpreters_pass(version: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    assert install.unsupported_interpreter() is None


@pytest.mark.parametrize(("name", "version"), [("cpython", (3, 9)), ("cpython", (3, 14)), ("pypy", (3, 11))])
def test_others_get_one_line_with_the_remedy(
    name: str, version: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name=name))
    assert install.main() == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert f"{name} {version[0]}.{version[1]} cannot be used" in message
    assert "make PYTHON=python3." in message


def test_an_old_interpreter_can_read_the_file_that_refuses_it(repository: Path) -> None:
    source = (repository / "distilldrive_ros" / "environment" / "install.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    before_check = ast.parse(source).body
    imported = {alias.name for node in before_check if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"shutil", "sys"}


def test_the_set_up_needs_the_standard_library_only(repository: Path) -> None:
    # -S: no site-packages, as on a machine where nothing is installed; -P is not in 3.10, hence the foreign folder.
    script = repository / "distilldrive_ros" / "environment" / "install.py"
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(script), "--help"], cwd="/", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "--with-tests" in done.stdout
