"""Runs over whole roots, and the command: choice of scenes, restart, processes, what is said, what goes to files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion, notices
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.cli import convert as command
from distilldrive_ros.scene.errors import BagError, DatasetError


def settings(tiny, root, out, **options) -> ConversionSettings:
    return ConversionSettings(root.path, tiny.VERSION, out, **options)


def run_command(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["convert", *map(str, arguments)])
    return args.run(args)


def test_all_scenes_with_progress(tiny, tiny_root, tmp_path):
    conversion = DatasetConversion(settings(tiny, tiny_root, tmp_path / "out"))
    steps: list[int] = []
    reports = list(conversion.run(steps.append))
    assert [r.scene_name for r in reports] == ["scene-0001", "scene-0002"]
    assert sum(steps) == conversion.key_frames == 16
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["scene-0001", "scene-0002"]


def test_processes_give_the_same_bags(tiny, tiny_root, tmp_path):
    one = list(DatasetConversion(settings(tiny, tiny_root, tmp_path / "one")).run())
    two = list(DatasetConversion(settings(tiny, tiny_root, tmp_path / "two", jobs=2)).run())
    assert {r.scene_name: r.messages for r in one} == {r.scene_name: r.messages for r in two}
    for name in ("scene-0001", "scene-0002"):
        with open_bag(tmp_path / "one" / name) as a, open_bag(tmp_path / "two" / name) as b:
            assert list(a.messages()) == list(b.messages())


@pytest.mark.parametrize("jobs", [1, 2])
def test_goes_on_where_it_stopped(tiny, tiny_root, tmp_path, jobs):
    """A damaged file stops the run after the first scene; mended, the run does the rest and leaves the first alone."""
    image = tiny_root.file_of("scene-0002-k0-CAM_FRONT")
    good = image.read_bytes()
    image.write_bytes(b"nothing")
    conversion = DatasetConversion(settings(tiny, tiny_root, tmp_path / "out", jobs=jobs))
    with pytest.raises(DatasetError):
        list(conversion.run())
    image.write_bytes(good)
    reports = list(conversion.run())
    assert {r.scene_name: r.already_there for r in reports} == {"scene-0001": True, "scene-0002": False}
    assert any("scene-0001" in n and "--force" in n for n in notices(reports))


def test_choice_of_scenes(tiny, tiny_root, tmp_path):
    chosen = DatasetConversion(settings(tiny, tiny_root, tmp_path), ["scene-0002", "token-scene-0002", "scene-0002"])
    assert {s.name for s in chosen.scenes} == {"scene-0002"}
    with pytest.raises(DatasetError, match="scene-0001, scene-0002"):
        DatasetConversion(settings(tiny, tiny_root, tmp_path), ["scene-3"])


def test_notices_say_each_thing_once(tiny, tmp_path):
    root = tiny.make_tiny_root(tmp_path / "root", pixels=False, expansion=False)
    reports = list(DatasetConversion(settings(tiny, root, tmp_path / "out")).run())
    said = notices(reports)
    assert len([n for n in said if "not there" in n]) == 1
    text = "\n".join(said)
    assert "CAM_BACK 30, CAM_FRONT 30, LIDAR_TOP 30" in text
    assert f"no map expansion (maps/expansion/<location>.json) for {tiny.PLACE}" in text
    assert "animal 15" in text and "RADAR_FRONT" in text and "at the end of scenes: 7" in text


def test_command(tiny, tiny_root, tmp_path, capsys):
    report = tmp_path / "report.json"
    arguments = ["--dataroot", tiny_root.path, "--version", tiny.VERSION, "--out", tmp_path / "out", "--json", report]
    assert run_command(*arguments, "--scene", "scene-0001", "--no-sweeps") == 0
    written = json.loads(report.read_text())
    assert [s["scene_name"] for s in written["scenes"]] == ["scene-0001"] and not written["scenes"][0]["sweeps"]
    printed = capsys.readouterr().out
    assert written["notices"] and all(f"note: {n}" in printed for n in written["notices"])
    assert run_command(*arguments, "--scene", "scene-0001", "--no-sweeps") == 0
    assert "converted before" in capsys.readouterr().out
    with pytest.raises(BagError, match="--force"):
        run_command(*arguments)
    assert run_command(*arguments, "--force", "--jobs", 2) == 0
    printed = capsys.readouterr()
    assert "scene-0002" in printed.out and "it/s" not in printed.err  # no progress bar where there is no terminal
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".partial")]


def test_report_that_cannot_be_written(tiny, tiny_root, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BagError, match="--json"):
        run_command("--dataroot", tiny_root.path, "--version", tiny.VERSION, "--out", tmp_path / "out", "--json",
                    tmp_path / "file" / "report.json")  # fmt: skip


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_jobs_must_be_a_positive_number(tiny, tiny_root, tmp_path, jobs, capsys):
    with pytest.raises(SystemExit):
        run_command("--dataroot", tiny_root.path, "--out", tmp_path, "--jobs", jobs)
    assert "--jobs" in capsys.readouterr().err


def test_real_tables_without_pixels(shared_dir: Path, tmp_path):
    root = shared_dir / "data" / "nuscenes-mini-tables"
    conversion = DatasetConversion(ConversionSettings(root, "v1.0-mini", tmp_path), ["scene-0757"])
    (report,) = conversion.run()
    assert report.key_frames == 41 and report.missing["LIDAR_TOP"] == 200 and report.has_map
    assert report.messages["/camera/CAM_FRONT/camera_info"] == report.missing["CAM_FRONT"]
    with open_bag(tmp_path / "scene-0757") as bag:
        assert bag.topics["/ground_truth/route"].count == 41
        assert bag.topics["/ground_truth/map"].count == 41 and bag.duration_s == pytest.approx(20, abs=1)
