"""The doctor tells the truth about this interpreter, and about one in which something is broken."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.cli import doctor as command
from distilldrive_ros.environment.findings import Finding, Report, Status
from distilldrive_ros.scene.errors import ConfigurationError

DOCTOR = "import sys; from distilldrive_ros.cli.main import main; sys.exit(main(['doctor', '--json', sys.argv[1]]))"


def run_doctor(repository: Path, out: Path, **variables: str) -> tuple[int, dict[str, dict[str, str]], str]:
    """Exit status, findings by subject, and the printed table of a doctor in a process of its own."""
    env = {**os.environ, **variables}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [variables.get("PYTHONPATH"), str(repository)]))
    done = subprocess.run(
        [sys.executable, "-c", DOCTOR, str(out)], env=env, cwd=out.parent, capture_output=True, text=True, timeout=110
    )
    assert "Traceback" not in done.stderr, done.stderr
    findings = json.loads(out.read_text())["findings"] if out.is_file() else []
    return done.returncode, {finding["subject"]: finding for finding in findings}, done.stdout


def test_here_everything_the_core_needs_is_found(repository: Path, tmp_path: Path, ros_domain: int) -> None:
    status, findings, table = run_doctor(repository, tmp_path / "doctor.json")
    assert [f for f in findings.values() if f["status"] == "missing"] == []
    assert status == 0
    assert table.rstrip().endswith("the core can run")
    assert findings["Python"]["value"].startswith(sys.version.split()[0])
    assert "messages in" in findings["distilldrive_ros"]["value"]
    assert findings["middleware"]["value"].startswith("rmw_")
    for library in ("message_filters", "tf2_ros", "cv_bridge", "tf_transformations"):
        assert findings[library]["status"] == "ok"
    assert findings["device"]["value"].split()[0].rstrip(",").split(":")[0] in {"cpu", "cuda"}
    assert ":" in findings["aggregation op"]["value"]


def test_a_broken_library_is_named_with_its_remedy(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "rosbags.py").write_text("raise RuntimeError('compiled for another planet')\n")
    status, findings, table = run_doctor(repository, tmp_path / "doctor.json", PYTHONPATH=str(tmp_path / "broken"))
    assert status == 1
    assert findings["rosbags"]["status"] == "missing"
    assert "compiled for another planet" in findings["rosbags"]["value"]
    assert findings["rosbags"]["remedy"]
    assert "the core cannot run: rosbags" in table


def test_a_dds_profile_that_is_not_there_is_missing(repository: Path, tmp_path: Path, ros_domain: int) -> None:
    absent = str(tmp_path / "absent.xml")
    status, findings, _ = run_doctor(repository, tmp_path / "d.json", FASTDDS_DEFAULT_PROFILES_FILE=absent)
    assert status == 1
    assert findings["Fast DDS profile"]["status"] == "missing"
    assert absent in findings["Fast DDS profile"]["value"]
    assert "unset FASTDDS_DEFAULT_PROFILES_FILE" in findings["Fast DDS profile"]["remedy"]


def test_a_middleware_that_is_not_there_is_missing(repository: Path, tmp_path: Path, ros_domain: int) -> None:
    status, findings, _ = run_doctor(repository, tmp_path / "d.json", RMW_IMPLEMENTATION="rmw_of_dreams_cpp")
    assert status == 1
    broken = [f for f in findings.values() if f["status"] == "missing" and f["area"] == "ROS 2"]
    assert broken
    assert all(finding["remedy"] for finding in broken)


def finding(status: Status, subject: str = "thing", remedy: str = "") -> Finding:
    return Finding("area", subject, status, "value", remedy)


@pytest.mark.parametrize(
    ("statuses", "ready"),
    [([Status.OK], True), ([Status.OK, Status.OPTIONAL], True), ([Status.OPTIONAL, Status.MISSING], False)],
)
def test_only_missing_things_stop_the_core(statuses: list[Status], ready: bool) -> None:
    assert Report(tuple(finding(status) for status in statuses)).core_ready is ready


def test_the_table_shows_remedies_and_names_what_is_missing() -> None:
    report = Report((finding(Status.OK, "fine"), finding(Status.MISSING, "gone", "fetch it")))
    table = command.format_report(report)
    assert "-> fetch it" in table
    assert table.splitlines()[-1] == "the core cannot run: gone"


def test_a_json_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    target = tmp_path / "no-such-folder" / "doctor.json"
    with pytest.raises(ConfigurationError, match="no-such-folder"):
        command.write_json(Report((finding(Status.OK),)), target)


def test_weights_that_do_not_load_are_missing_with_the_reason(tmp_path: Path) -> None:
    result = command.examine_weights(tmp_path / "absent.pth", "student_tiny")
    assert result.status is Status.MISSING
    assert "absent.pth" in result.value
    assert command.examine_weights(None, "student").status is Status.OPTIONAL


def test_arguments() -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["doctor", "--json", "x.json"])
    assert parsed.json == Path("x.json")
    assert parsed.weights is None
    assert parsed.run is command.run
