"""The command itself: one line per error, an exit code that tells, subcommands imported only when called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.cli import main as program


def test_an_error_of_the_user_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = program.main(["convert", "--dataroot", str(tmp_path / "nowhere"), "--out", str(tmp_path / "bags")])
    captured = capsys.readouterr()
    assert code == program.EXIT_USER_ERROR
    assert captured.err.startswith("distilldrive convert: ")
    assert captured.err.count("\n") == 1
    assert str(tmp_path / "nowhere") in captured.err
    assert not (tmp_path / "bags").exists()


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["convert"], ["demo", "--model", "nonsense"]])
def test_wrong_arguments_end_with_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        program.main(arguments)
    assert end.value.code == program.EXIT_USER_ERROR
    assert "usage: distilldrive" in capsys.readouterr().err


def test_help_imports_no_subcommand() -> None:
    code = (
        "import sys, contextlib\n"
        "from distilldrive_ros.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "loaded = [m for m in ('torch', 'rclpy', 'rosbags', 'numpy') if m in sys.modules]\n"
        "sys.exit(1 if loaded else 0)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "convert" in run.stdout


def test_a_reader_that_has_gone_is_no_failure() -> None:
    command = f"{sys.executable} -m distilldrive_ros.cli.main doctor | head -n 1; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in run.stderr
    assert run.returncode == 0, run.stderr
