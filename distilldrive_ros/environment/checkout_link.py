"""The last step: the environment's interpreter sees the checkout's module and the built messages as one package."""

from __future__ import annotations

from pathlib import Path

from distilldrive_ros.environment.layout import PACKAGE, Layout
from distilldrive_ros.environment.programs import PROGRAMS, entry_point

DATA_FOLDERS = ("launch", "config", "rviz")
FINDER_MODULE = "_distilldrive_ros_checkout"
LONGEST_SHEBANG = 120

# A plain path entry would not do: with the checkout as working directory, Python finds the module there first
# and never looks for the messages, which lie in site-packages.
_FINDER_SOURCE = '''\
"""Joins the checkout's module and the generated messages. Written by the set-up of {package}."""
import importlib.machinery
import importlib.util
import os
import sys

CHECKOUT = {module!r}
MESSAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "{package}")


class CheckoutFinder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "{package}":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name)
        if spec is None or spec.origin is None:
            return spec
        if os.path.dirname(os.path.abspath(spec.origin)) not in (CHECKOUT, MESSAGES):
            return spec  # a sourced workspace holds its own complete copy
        return importlib.util.spec_from_file_location(
            name, os.path.join(CHECKOUT, "__init__.py"), submodule_search_locations=[CHECKOUT, MESSAGES]
        )


sys.meta_path.insert(0, CheckoutFinder)
'''

_PROGRAM_SOURCE = """\
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


def link_checkout(layout: Layout) -> None:
    """Writes the import finder, the programs in `bin/` and the links to data folders; equal things stay untouched."""
    _write(layout.site_packages / f"{FINDER_MODULE}.py", finder_source(layout))
    _write(layout.site_packages / f"{PACKAGE}.pth", f"import {FINDER_MODULE}\n")
    for program in PROGRAMS:
        _write(layout.venv / "bin" / program, program_source(layout, program), executable=True)
        _link(layout.venv / "lib" / PACKAGE / program, layout.root / "scripts" / program)
    for folder in DATA_FOLDERS:
        _link_files(layout.share / folder, layout.root / folder)
    _remove_former_programs(layout)


def finder_source(layout: Layout) -> str:
    """Python source of the import finder."""
    return _FINDER_SOURCE.format(package=PACKAGE, module=str(layout.module))


def program_source(layout: Layout, program: str) -> str:
    """A console script for the environment's interpreter."""
    module, function = entry_point(program)
    return shebang(layout.python) + _PROGRAM_SOURCE.format(module=module, function=function)


def shebang(python: Path) -> str:
    """First line(s) of a script; kernels take neither blanks nor long paths, the shell does."""
    if len(str(python)) <= LONGEST_SHEBANG and not any(c.isspace() for c in str(python)):
        return f"#!{python}\n"
    return f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"


def _remove_former_programs(layout: Layout) -> None:
    folder = layout.venv / "lib" / PACKAGE
    for entry in folder.iterdir():
        if entry.name not in PROGRAMS and entry.is_symlink():
            entry.unlink()
            (layout.venv / "bin" / entry.name).unlink(missing_ok=True)


def _write(path: Path, text: str, executable: bool = False) -> None:
    if path.is_file() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    if executable:
        partial.chmod(0o755)
    partial.replace(path)


def _link_files(links: Path, folder: Path) -> None:
    """A folder of links to the files of another: tools such as `ros2 launch` do not follow links to folders."""
    if links.is_symlink():
        links.unlink()
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    for name in files:
        _link(links / name, folder / name)
    for entry in sorted(links.rglob("*")):
        if entry.is_symlink() and entry.relative_to(links) not in files:
            entry.unlink()


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    partial = link.with_name(link.name + ".partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(link)
