"""The set-up's steps: order, skipping, and what a person reads when one fails."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from distilldrive_ros.environment import setup_steps
from distilldrive_ros.environment.commands import SetupStepError
from distilldrive_ros.environment.layout import Layout
from distilldrive_ros.environment.preflight import Complaint
from distilldrive_ros.environment.setup_steps import Step, one_at_a_time, plan_steps, run_steps

KERNELS = "distilldrive_ros/models/ops/deformable_aggregation"


@pytest.fixture
def layout(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A checkout of folders only, on a machine that has everything."""
    monkeypatch.setattr(setup_steps, "machine_complaints", lambda folder: [])
    for folder in ("distilldrive_ros", "scripts", "launch", "config", "rviz"):
        (tmp_path / "checkout" / folder).mkdir(parents=True)
    return Layout.of(tmp_path / "checkout", Path(".venv"))


def recording_step(name: str, key: str, done: list[str]) -> Step:
    return Step(name, f"title of {name}", key, lambda progress: done.append(name))


def test_steps_run_once_in_order_and_again_when_their_inputs_change(layout: Layout) -> None:
    done: list[str] = []
    run_steps(layout, [recording_step("a", "1", done), recording_step("b", "1", done)])
    run_steps(layout, [recording_step("a", "1", done), recording_step("b", "1", done)])
    assert done == ["a", "b"]
    run_steps(layout, [recording_step("a", "1", done), recording_step("b", "2", done)])
    assert done == ["a", "b", "b"]


def test_a_failing_step_says_which_and_what_to_do_and_is_tried_again(layout: Layout) -> None:
    done: list[str] = []

    def fail(progress: setup_steps.Progress) -> None:
        raise SetupStepError("the index said no\nfor good", "ask it again")

    steps = [recording_step("a", "1", done), Step("b", "title of b", "1", fail), recording_step("c", "1", done)]
    with pytest.raises(SetupStepError) as caught:
        run_steps(layout, steps)
    assert caught.value.cause.startswith("step 2/3 'title of b' failed after")
    assert "    the index said no\n    for good" in caught.value.cause
    assert caught.value.remedy == "ask it again"
    assert done == ["a"]
    run_steps(layout, [recording_step(name, "1", done) for name in "abc"])
    assert done == ["a", "b", "c"]


def test_a_step_whose_result_is_gone_runs_again(layout: Layout, tmp_path: Path) -> None:
    done: list[str] = []
    product = tmp_path / "product"
    step = Step("a", "title", "1", lambda progress: (done.append("a"), product.touch())[0], product.exists)
    run_steps(layout, [step])
    product.unlink()
    run_steps(layout, [step])
    assert done == ["a", "a"]


def test_a_machine_that_lacks_something_is_told_everything_before_any_step(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = [Complaint("no compiler", "install one"), Complaint("no headers", "install those")]
    monkeypatch.setattr(setup_steps, "machine_complaints", lambda folder: lacking)
    done: list[str] = []
    with pytest.raises(SetupStepError) as caught:
        run_steps(layout, [recording_step("a", "1", done)])
    assert caught.value.cause == "no compiler\nno headers"
    assert caught.value.remedy == "install one; install those"
    assert done == []


def test_every_input_changes_the_step_that_uses_it(tmp_path: Path, repository: Path) -> None:
    checkout = tmp_path / "checkout"
    pins = (repository / "distilldrive_ros" / "environment").glob("*.txt")
    messages = (repository / "msg").glob("*.msg")
    kernels = (repository / KERNELS).glob("*/*")
    for path in [*pins, *messages, *kernels, repository / "CMakeLists.txt", repository / "package.xml"]:
        target = checkout / path.relative_to(repository)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text())
    layout = Layout.of(checkout, Path(".venv"))

    def keys() -> dict[str, str]:
        return {step.name: step.key for step in plan_steps(layout, with_tests=True)}

    def changed_by(file: str) -> set[str]:
        before = keys()
        path = checkout / file
        path.write_text(path.read_text() + "\n# changed\n")
        after = keys()
        return {name for name in before if before[name] != after[name]}

    requirements = "distilldrive_ros/environment/"
    built = {"ros-packages", "tf2_msgs", "messages"}
    assert list(keys()) == [
        "venv", "packages", "ros-packages", "tf2_msgs", "messages", "kernels", "world-packages", "test-packages"
    ]  # fmt: skip
    assert changed_by(requirements + "requirements.txt") == {"packages", "kernels"}
    assert changed_by(requirements + "requirements-ros.txt") == built
    assert changed_by(requirements + "requirements-build.txt") == built
    assert changed_by(requirements + "constraints.txt") == {
        "packages", "kernels", "test-packages", "world-packages", *built
    }  # fmt: skip
    assert changed_by(requirements + "requirements-test.txt") == {"test-packages"}
    assert changed_by(requirements + "requirements-train.txt") == {"test-packages"}
    assert changed_by(requirements + "requirements-export.txt") == {"test-packages"}
    assert changed_by(requirements + "requirements-world.txt") == {"world-packages"}
    assert changed_by("msg/EgoStatus.msg") == {"messages"}
    assert changed_by("CMakeLists.txt") == {"messages"}
    assert changed_by(f"{KERNELS}/csrc/cpu.cpp") == {"kernels"}
    before = keys()
    (checkout / "msg" / "New.msg").write_text("bool x\n")
    assert {name for name, key in keys().items() if key != before[name]} == {"messages"}


def test_an_environment_that_was_moved_is_made_anew(tmp_path: Path) -> None:
    here = plan_steps(Layout.of(tmp_path, Path("here")), with_tests=True)
    there = plan_steps(Layout.of(tmp_path, Path("there")), with_tests=True)
    assert all(a.key != b.key for a, b in zip(here, there, strict=True))


def test_two_set_ups_of_one_checkout_wait_for_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    entered = threading.Event()

    def enter() -> None:
        with one_at_a_time(tmp_path):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.2)
    os.close(other)
    thread.join(timeout=30)
    assert entered.is_set()
    assert "waiting" in capsys.readouterr().err


@pytest.mark.slow
def test_an_index_that_has_nothing_is_one_clear_error_and_the_next_run_goes_on(
    tmp_path: Path, repository: Path
) -> None:
    venv = tmp_path / "venv"
    env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, str(repository / "distilldrive_ros/environment/install.py"), "--venv", str(venv)]
    first = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert first.returncode == 1
    assert "virtual environment: done" in first.stderr
    assert "step 2/6 'Python packages' failed" in first.stderr
    assert "what to do: a pinned package has no file for this machine, or the index lacks it" in first.stderr
    assert str(venv / "log" / "packages.log") in first.stderr
    assert "Traceback" not in first.stderr
    second = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert second.returncode == 1
    assert "virtual environment" not in second.stderr


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "build").mkdir()
    command = [sys.executable, str(repository / "distilldrive_ros/environment/install.py"), "--venv", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "is no virtual environment" in done.stderr
    assert "make VENV=" in done.stderr
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
