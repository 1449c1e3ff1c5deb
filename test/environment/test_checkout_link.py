"""After the set-up, one interpreter finds the checkout's module and the messages as one package, from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.environment.checkout_link import link_checkout, program_source, shebang
from distilldrive_ros.environment.layout import Layout
from distilldrive_ros.environment.programs import PROGRAMS

REPORT = "import distilldrive_ros.msg as m, distilldrive_ros.geometry as g; print(m.__file__); print(g.__file__)"


def make_package(folder: Path, *subpackages: str) -> None:
    for package in (folder, *(folder / name for name in subpackages)):
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()


@pytest.fixture
def linked(tmp_path: Path) -> Layout:
    """A linked checkout with one sub-package, and a prefix with generated messages."""
    layout = Layout.of(tmp_path / "check out", Path(".venv"))
    make_package(layout.module, "geometry")
    make_package(layout.site_packages / "distilldrive_ros", "msg")
    for folder in ("scripts", "launch", "config", "rviz"):
        (layout.root / folder / "below").mkdir(parents=True)
        (layout.root / folder / "one.yaml").touch()
        (layout.root / folder / "below" / "two.yaml").touch()
    link_checkout(layout)
    return layout


def run_in(layout: Layout, code: str, cwd: Path, **variables: str) -> list[str]:
    """Lines printed by an interpreter that treats the layout's site-packages as its own."""
    start = f"import site; site.addsitedir({str(layout.site_packages)!r})\n"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    command = [sys.executable, "-S", "-c", start + code]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("place", ["checkout", "elsewhere"])
def test_module_and_messages_import_together(linked: Layout, tmp_path: Path, place: str) -> None:
    messages, geometry = run_in(linked, REPORT, linked.root if place == "checkout" else tmp_path)
    assert Path(messages) == linked.site_packages / "distilldrive_ros" / "msg" / "__init__.py"
    assert Path(geometry) == linked.module / "geometry" / "__init__.py"


def test_new_subpackages_and_edits_are_seen_at_once(linked: Layout, tmp_path: Path) -> None:
    make_package(linked.module, "brand_new")
    (linked.module / "brand_new" / "__init__.py").write_text("value = 42\n")
    assert run_in(linked, "from distilldrive_ros.brand_new import value; print(value)", tmp_path) == ["42"]


def test_a_sourced_workspace_wins_over_the_checkout(linked: Layout, tmp_path: Path) -> None:
    workspace = tmp_path / "ws" / "install" / "site-packages"
    make_package(workspace / "distilldrive_ros", "geometry", "msg")
    files = run_in(linked, REPORT, tmp_path, PYTHONPATH=str(workspace))
    assert all(Path(file).is_relative_to(workspace) for file in files)


def test_other_packages_are_left_to_python(linked: Layout, tmp_path: Path) -> None:
    assert run_in(linked, "import json; print(json.dumps(1))", tmp_path) == ["1"]


def test_programs_run_from_a_path_with_blanks(linked: Layout, tmp_path: Path) -> None:
    linked.python.parent.mkdir(parents=True, exist_ok=True)
    linked.python.symlink_to(sys.executable)
    script = linked.venv / "bin" / "say"
    script.write_text(shebang(linked.python) + "import sys\nprint(sys.argv[1:])\n")
    script.chmod(0o755)
    done = subprocess.run([str(script), "a b", "c"], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "['a b', 'c']", done.stderr


def test_all_programs_and_data_folders_are_there(linked: Layout) -> None:
    for program in PROGRAMS:
        path = linked.venv / "bin" / program
        assert os.access(path, os.X_OK)
        assert path.read_text() == program_source(linked, program)
        assert (linked.venv / "lib" / "distilldrive_ros" / program).readlink() == linked.root / "scripts" / program
    for folder in ("launch", "config", "rviz"):
        # File by file: `ros2 launch` does not look into folders that are links.
        assert not (linked.share / folder).is_symlink()
        for name in ("one.yaml", "below/two.yaml"):
            assert (linked.share / folder / name).readlink() == linked.root / folder / name


def test_data_files_come_and_go_with_the_checkout(linked: Layout) -> None:
    (linked.root / "config" / "one.yaml").unlink()
    (linked.root / "config" / "three.yaml").touch()
    link_checkout(linked)
    found = {str(p.relative_to(linked.share / "config")) for p in (linked.share / "config").rglob("*.yaml")}
    assert found == {"below/two.yaml", "three.yaml"}


def test_a_second_time_nothing_is_written(linked: Layout) -> None:
    def state() -> dict[Path, int]:
        return {path: path.lstat().st_mtime_ns for path in linked.root.rglob("*")}

    before = state()
    link_checkout(linked)
    assert state() == before


def test_a_program_that_is_gone_is_removed(linked: Layout) -> None:
    (linked.venv / "lib" / "distilldrive_ros" / "former").symlink_to(linked.root / "scripts" / "former")
    (linked.venv / "bin" / "former").write_text("#!/bin/sh\n")
    link_checkout(linked)
    assert not (linked.venv / "bin" / "former").exists()
    assert not (linked.venv / "lib" / "distilldrive_ros" / "former").is_symlink()
    assert (linked.venv / "bin" / "planner").is_file()
