"""The README says what is there: generated tables are up to date, commands, targets and files exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from distilldrive_ros.cli.main import COMMANDS, build_parser


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def test_generated_tables_are_up_to_date(readme: str, ros_domain: int) -> None:
    from distilldrive_ros.nodes.documentation import update

    assert update(readme) == readme, "run: python -m distilldrive_ros.nodes.documentation README.md"


def test_missing_markers_are_refused() -> None:
    pytest.importorskip("rclpy")
    from distilldrive_ros.nodes.documentation import update
    from distilldrive_ros.scene.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="models"):
        update("# nothing generated here")


def test_every_command_is_there(readme: str) -> None:
    named = set(re.findall(r"\bdistilldrive (\w+)", readme))
    assert named
    assert named <= set(COMMANDS), f"the README names {named - set(COMMANDS)}"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        build_parser(command).parse_args([command, "--help"])
    assert end.value.code == 0
    assert f"distilldrive {command}" in capsys.readouterr().out


def test_every_make_target_is_there(readme: str, repository: Path) -> None:
    targets = {t for t in re.findall(r"\bmake ([a-z]+)", readme)}
    assert {"demo", "test"} <= targets
    for target in targets:
        dry = subprocess.run(["make", "-n", target], cwd=repository, capture_output=True, text=True, check=False)
        assert dry.returncode == 0, f"make {target}: {dry.stderr}"


def test_every_file_is_there(readme: str, repository: Path) -> None:
    named = re.findall(r"`((?:config|launch|rviz|msg|test|\.ci|distilldrive_ros)/[\w./-]*)`", readme)
    assert named
    messages = {f"distilldrive_ros/{path.stem}" for path in (repository / "msg").glob("*.msg")}
    missing = [name for name in named if name not in messages and not (repository / name).exists()]
    assert not missing


def test_it_says_what_it_is_not(readme: str) -> None:
    assert "research software, not a safety system" in readme
