"""The set-up as a list of named steps, each skipped while its inputs are unchanged."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distilldrive_ros.environment import stamps
from distilldrive_ros.environment.checkout_link import link_checkout
from distilldrive_ros.environment.commands import SetupStepError
from distilldrive_ros.environment.interfaces import (
    TF2_MSGS_FILES,
    build_own_messages,
    build_tf2_msgs,
    interface_inputs,
)
from distilldrive_ros.environment.kernels import build_kernels, kernel_inputs
from distilldrive_ros.environment.layout import Layout
from distilldrive_ros.environment.packages import (
    CORE_REQUIREMENTS,
    ROS_REQUIREMENTS,
    TEST_REQUIREMENTS,
    WORLD_REQUIREMENTS,
    create_venv,
    pip_install,
    repair_include_paths,
    requirement_files,
)
from distilldrive_ros.environment.preflight import machine_complaints
from distilldrive_ros.environment.reporter import StepReporter

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step: `name` for stamps and errors, `title` for people, `key` the fingerprint of its inputs."""

    name: str
    title: str
    key: str
    action: Callable[[Progress], None]
    is_there: Callable[[], bool] = lambda: True


def plan_steps(layout: Layout, with_tests: bool, with_worlds: bool = False) -> list[Step]:
    """All steps in order. A later step's key contains the keys it builds on. The tests need the worlds, too."""
    interpreter = f"{sys.version} {sys.base_prefix} {layout.venv}"
    venv_key = stamps.fingerprint(interpreter)
    core_key = stamps.fingerprint(venv_key, *requirement_files(layout, CORE_REQUIREMENTS))
    ros_key = stamps.fingerprint(venv_key, *requirement_files(layout, ROS_REQUIREMENTS))
    tf_key = stamps.fingerprint(ros_key, *(name + text for name, text in TF2_MSGS_FILES.items()))
    kernel_key = stamps.fingerprint(core_key, *kernel_inputs(layout))
    own_key = stamps.fingerprint(ros_key, str(layout.root), *interface_inputs(layout))

    def install_core(progress: Progress) -> None:
        pip_install(layout, CORE_REQUIREMENTS, "packages.log", progress)

    def install_ros(progress: Progress) -> None:
        shutil.rmtree(layout.build, ignore_errors=True)  # made with the packages that are replaced now
        pip_install(layout, ROS_REQUIREMENTS, "ros-packages.log", progress)
        repair_include_paths(layout)

    def install_test_tools(progress: Progress) -> None:
        pip_install(layout, TEST_REQUIREMENTS, "test-packages.log", progress)

    def install_world_engines(progress: Progress) -> None:
        pip_install(layout, WORLD_REQUIREMENTS, "world-packages.log", progress)

    steps = [
        Step("venv", "virtual environment", venv_key, lambda p: create_venv(layout, p), layout.python.exists),
        Step("packages", "Python packages", core_key, install_core),
        Step("ros-packages", "ROS 2 packages", ros_key, install_ros),
        Step("tf2_msgs", "message package tf2_msgs", tf_key, lambda p: build_tf2_msgs(layout, p)),
        Step("messages", "messages of this package", own_key, lambda p: build_own_messages(layout, p)),
        Step("kernels", "aggregation op", kernel_key, lambda p: build_kernels(layout, p)),
    ]
    if with_tests or with_worlds:
        world_key = stamps.fingerprint(venv_key, *requirement_files(layout, WORLD_REQUIREMENTS))
        steps.append(Step("world-packages", "engines of driving worlds", world_key, install_world_engines))
    if with_tests:
        test_key = stamps.fingerprint(venv_key, *requirement_files(layout, TEST_REQUIREMENTS))
        steps.append(Step("test-packages", "test and lint tools", test_key, install_test_tools))
    return steps


def run_steps(layout: Layout, steps: list[Step]) -> None:
    """Runs what is not up to date, then links the checkout.

    Raises:
        SetupStepError: a step cannot be done; those before it are kept.
    """
    stale = [s for s in steps if not (stamps.is_fresh(layout.stamps, s.name, s.key) and s.is_there())]
    if stale:
        complaints = machine_complaints(layout.venv)
        if complaints:
            raise SetupStepError(
                "\n".join(c.cause for c in complaints), "; ".join(c.remedy for c in complaints)
            ) from None
    for number, step in enumerate(steps, start=1):
        if step not in stale:
            continue
        with StepReporter(number, len(steps), step.title) as reporter:
            stamps.forget(layout.stamps, [step.name])
            try:
                step.action(reporter.progress)
            except SetupStepError as failure:
                head = f"step {number}/{len(steps)} '{step.title}' failed after {reporter.seconds:.0f} s:"
                raise SetupStepError(f"{head}\n{_indent(failure.cause)}", failure.remedy) from failure
            stamps.mark(layout.stamps, step.name, step.key)
    link_checkout(layout)


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Holds a lock on the checkout, so that two `make` at once do not build into each other's files."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up is running in this checkout; waiting for it ...", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def main(root: Path, arguments: list[str]) -> int:
    """Command line of the set-up; returns the exit status."""
    parser = argparse.ArgumentParser(prog="install.py", description="Sets up this checkout's virtual environment.")
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="folder of the environment (default .venv)")
    parser.add_argument("--with-tests", action="store_true", help="test and lint tools, too")
    parser.add_argument("--with-worlds", action="store_true", help="the engines of driving worlds, too")
    options = parser.parse_args(arguments)
    layout = Layout.of(root, options.venv)
    try:
        with one_at_a_time(layout.root):
            run_steps(layout, plan_steps(layout, options.with_tests, options.with_worlds))
    except SetupStepError as failure:
        print(f"set-up: {failure.cause}\nwhat to do: {failure.remedy}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"set-up: {error}\nwhat to do: check permissions and free space of {layout.venv}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up: interrupted; the same command goes on where this one stopped", file=sys.stderr)
        return 130
    return 0


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
