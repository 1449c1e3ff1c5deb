"""The benchmarks run and yield valid tables and JSON. What they measure is never checked here: times vary."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.bench import subjects, transport
from distilldrive_ros.bench.machine import Machine, this_machine
from distilldrive_ros.bench.measure import Measurement, Spread, paired_ratio, timed
from distilldrive_ros.bench.report import format_table, results_name, write_json
from distilldrive_ros.bench.scratch_dataset import make_scratch_dataset
from distilldrive_ros.bench.subjects import SUBJECTS, SubjectResult, run_subjects
from distilldrive_ros.bench.synthetic import jpeg, sensor_frames, sweep
from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import ConfigurationError

MACHINE = Machine("2026-01-01T00:00:00+00:00", "Some CPU", 2, 0.5, "Linux", "3.11", "2.13.0", "cpu")


def check_json(path: Path, names: list[str]) -> dict[str, Any]:
    """The file holds the named subjects, each with values that are finite and have names and units of their own."""
    content = json.loads(path.read_text())
    assert content["format"] == 1 and content["machine"]["cpu"] and content["machine"]["date"].startswith("20")
    assert [subject["name"] for subject in content["subjects"]] == names
    for subject in content["subjects"]:
        rows = subject["measurements"]
        assert bool(rows) != bool(subject["skipped"])
        assert len({row["name"] for row in rows}) == len(rows)
        assert all(math.isfinite(row["value"]) and row["value"] >= 0 for row in rows)
        assert all((row["met"] is None) == (row["target"] is None) for row in rows)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    return dict(content)


@pytest.mark.parametrize("name", ["sync", "convert", "navsim", "replay", "open_loop"])
def test_subject_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out" / "bench.json"
    assert main(["bench", name, "--quick", "--json", str(path)]) == 0
    content = check_json(path, [name])
    assert content["quick"] is True
    printed = capsys.readouterr().out
    assert "not for quoting" in printed
    assert all(row["name"] in printed for row in content["subjects"][0]["measurements"])


def test_aggregation_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert main(["bench", "aggregation", "--quick", "--json", str(tmp_path / "out" / "bench.json")]) == 0
    content = check_json(tmp_path / "out" / "bench.json", ["aggregation"])
    assert "detection op against plain torch" in [row["name"] for row in content["subjects"][0]["measurements"]]


def test_render_runs(tmp_path: Path) -> None:
    pytest.importorskip("panda3d", reason="Panda3D is not installed (make setup-world)")
    assert main(["bench", "render", "--quick", "--json", str(tmp_path / "out" / "bench.json")]) == 0
    content = check_json(tmp_path / "out" / "bench.json", ["render"])
    assert "LiDAR sweeps" in [row["name"] for row in content["subjects"][0]["measurements"]]


@pytest.mark.slow
def test_student_runs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    assert main(["bench", "student", "--quick", "--json", str(tmp_path / "out" / "bench.json")]) == 0
    content = check_json(tmp_path / "out" / "bench.json", ["student"])
    names = [row["name"] for row in content["subjects"][0]["measurements"]]
    part = "network" if torch.cuda.is_available() else "backbone"
    assert names[0] == "student_tiny per set" and f"student_tiny {part}" in names
    assert "student_tiny network, fixed memory fp32" in names


@pytest.mark.slow
def test_transport_runs(tmp_path: Path, ros_domain: int) -> None:
    assert main(["bench", "transport", "--quick", "--json", str(tmp_path / "out" / "bench.json")]) == 0
    content = check_json(tmp_path / "out" / "bench.json", ["transport"])
    shares = {r["name"]: r["value"] for r in content["subjects"][0]["measurements"] if "share" in r["name"]}
    assert set(shares) == {"default, received share", "with profile, received share"}
    assert all(0 < share <= 1 for share in shares.values())


def test_transport_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PEER", "distilldrive_ros.bench.no_such_peer")
    with pytest.raises(transport.TransportError, match=r"a process failed: .*no_such_peer"):
        transport.deliver(None, 0.1)


def test_transport_measures_fast_dds_only(monkeypatch: pytest.MonkeyPatch, ros_domain: int) -> None:
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    with pytest.raises(ConfigurationError, match="rmw_cyclonedds_cpp; unset it"):
        transport.measure(quick=True)


def test_unknown_name_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "warp", "--json", str(tmp_path / "b.json")]) == 2
    assert "no benchmark warp; there are sync, convert" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_json_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_json(tmp_path / "file" / "b.json", MACHINE, [], False)


def test_results_to_keep_are_named_by_device_and_day(tmp_path: Path) -> None:
    assert results_name(MACHINE) == "some-cpu-2026-01-01.json"
    assert results_name(replace(MACHINE, device="NVIDIA H200")) == "nvidia-h200-2026-01-01.json"
    assert main(["bench", "sync", "--quick", "--keep", str(tmp_path / "results")]) == 0
    (path,) = (tmp_path / "results").iterdir()
    check_json(path, ["sync"])


def test_what_cannot_run_here_is_skipped_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, quick: bool) -> list[Measurement]:
        if name == "transport":
            raise ConfigurationError("no middleware; install one")
        return [Measurement("something", 1.0, "s")]

    monkeypatch.setattr(subjects, "_measure", refuse)
    started: list[str] = []
    results = list(run_subjects([], started=started.append))
    assert started == list(SUBJECTS) == [r.name for r in results]
    assert {r.name: r.skipped for r in results if r.skipped} == {"transport": "no middleware; install one"}
    assert "skipped: no middleware" in format_table(MACHINE, results, False)
    with pytest.raises(ConfigurationError, match="no middleware"):
        list(run_subjects(["transport"]))


def test_table_says_whether_targets_are_met() -> None:
    rows = (
        Measurement("cost", 0.05, "ms", 0.1),
        Measurement("share", 0.4, "of it", 0.5, "higher", "3 files"),
        Measurement("plain", 7.0, "s"),
    )
    table = format_table(MACHINE, [SubjectResult("x", "summary", 1.0, rows)], True)
    assert "target at most 0.1: met" in table and "target at least 0.5: NOT met)  3 files" in table
    assert table.splitlines()[0].startswith("Some CPU, 2 cores")
    assert rows[2].met is None


def test_measurements_must_be_numbers() -> None:
    with pytest.raises(ValueError, match="cost is nan"):
        Measurement("cost", math.nan, "ms")


def test_spread_ratio_and_time() -> None:
    spread = Spread.of(range(101))
    assert (spread.median, spread.p99, spread.mean, spread.count) == (50, 99, 50, 101)
    assert paired_ratio([1, 4, 9], [2, 2, 3]) == 2
    assert timed(lambda: None) >= 0
    assert this_machine().cores >= 1


def test_synthetic_sensors_have_the_size_of_real_ones() -> None:
    rng = np.random.default_rng(0)
    image = jpeg(rng)
    assert bytes(image[:2]) == b"\xff\xd8" and 100_000 < len(image) < 200_000
    points = sweep(rng)
    assert points.dtype == np.float32 and points.nbytes == 693_760 and np.isfinite(points).all()
    frames = sensor_frames(rng)
    first, second = next(frames), next(frames)
    assert second.stamp_ns - first.stamp_ns == 500_000_000 and len(second.cameras) == 6
    assert second.world_from_base[0, 3] == pytest.approx(4.0)


def test_scratch_dataset_is_a_nuscenes_root(tmp_path: Path) -> None:
    dataset = make_scratch_dataset(tmp_path / "root", np.random.default_rng(0), 3, 2)
    nuscenes = NuScenes(dataset.root, dataset.version)
    assert [scene.num_samples for scene in nuscenes.scenes] == [3]
    assert len(dataset.files) == 5 * 7 and dataset.size == sum(p.stat().st_size for p in dataset.files)
