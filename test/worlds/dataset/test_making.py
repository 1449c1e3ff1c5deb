"""`distilldrive world make` with the real engines: scenes, restart, the same bytes, and what can go wrong."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.making import WorldMaking, WorldOrder
from distilldrive_ros.worlds.dataset.root import VERSION, WORKSHOP
from distilldrive_ros.worlds.dataset.schedule import KEY_FRAMES_ONLY
from distilldrive_ros.worlds.scenarios.scenario import ScenarioKind

pytest.importorskip("panda3d", reason="the engines of driving worlds are not installed (make setup-world)")
pytest.importorskip("traci", reason="the engines of driving worlds are not installed (make setup-world)")

# The engines start several times; on a loaded machine that takes minutes.
pytestmark = pytest.mark.timeout(600)

SMALL = ["--seed", "7", "--kinds", "empty", "curved", "--duration", "1.1", "--width", "160", "--no-sweeps"]
KEY_FRAMES = 3
PROGRAM = "import sys; from distilldrive_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
WITHOUT = {
    "panda3d": "import sys; sys.modules['panda3d'] = None; ",
    "sumo": "import importlib.util as u; find = u.find_spec; u.find_spec = lambda n: n != 'sumo' and find(n) or None; ",
}


def make(out: Path, *more: str) -> int:
    return main(["world", "make", "--out", str(out), *SMALL, *more])


def command(out: Path, *more: str, before: str = "") -> list[str]:
    """The same in another process."""
    return [sys.executable, "-c", before + PROGRAM, "world", "make", "--out", str(out), *SMALL, *more]


def contents(root: Path) -> dict[str, str]:
    """Digest by file, without what only the making needs."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and WORKSHOP not in path.relative_to(root).parts
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes, made side by side."""
    root = tmp_path_factory.mktemp("worlds") / "root"
    assert make(root, "--scenes", "2", "--jobs", "2", "--json", str(root.with_name("report.json"))) == 0
    return root


def test_scenes_can_be_read(made: Path) -> None:
    nuscenes = NuScenes(made, VERSION)
    assert [scene.name for scene in nuscenes.scenes] == ["scene-2000", "scene-2001"]
    assert {scene.location for scene in nuscenes.scenes} == {"world-2000", "world-2001"}
    for scene in nuscenes.scenes:
        assert scene.description.startswith("Generated world: ")
        samples = nuscenes.samples(scene)
        assert len(samples) == scene.num_samples == KEY_FRAMES
        assert all(nuscenes.file(d).is_file() for d in nuscenes.sample_data(scene, samples))
        assert (made / "maps" / "expansion" / f"{scene.location}.json").is_file()
    assert nuscenes.annotations(nuscenes.samples(nuscenes.scenes[1])[0])
    names = {Path(row["filename"]).name for row in nuscenes.tables.rows("sample_data")}
    assert len(names) == 2 * 7 * KEY_FRAMES


def test_report_says_what_was_made(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(made.with_name("report.json").read_text())
    assert [scene["kind"] for scene in report["scenes"]] == ["empty", "curved"] and report["already_there"] == 0
    assert main(["world", "list", str(made)]) == 0
    said = capsys.readouterr().out
    assert "scene-2001  train curved" in said and said.endswith("2 scene(s)\n")
    assert main(["world", "list"]) == 0
    assert capsys.readouterr().out.split() == [kind.value for kind in ScenarioKind]


@pytest.mark.slow
def test_killed_run_goes_on_and_ends_the_same(made: Path, tmp_path: Path, repository: Path) -> None:
    root = tmp_path / "root"
    environment = os.environ | {"PYTHONPATH": str(repository), "PYTHONUNBUFFERED": "1"}
    order = command(root, "--scenes", "2", "--jobs", "1")
    with subprocess.Popen(order, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any("scene-2000" in line for line in process.stdout)
        finally:
            process.send_signal(signal.SIGKILL)
    assert not (root / VERSION).exists()
    assert make(root, "--scenes", "2", "--jobs", "1") == 0
    assert contents(root) == contents(made)


def test_more_scenes_and_the_other_split_are_added(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    subprocess.run(["cp", "-r", str(made), str(root)], check=True)
    before = contents(root)
    capsys.readouterr()
    assert make(root, "--scenes", "1", "--split", "val") == 0
    assert "1 scenes of split val" in capsys.readouterr().out
    assert make(root, "--scenes", "2") == 0
    assert "2 scenes were there before" in capsys.readouterr().out
    after = contents(root)
    assert all(after[name] == digest for name, digest in before.items() if not name.startswith(VERSION))
    splits = json.loads((root / VERSION / "splits.json").read_text())
    assert splits == {"world_train": ["scene-2000", "scene-2001"], "world_val": ["scene-8000"]}
    assert [scene.name for scene in NuScenes(root, VERSION).scenes] == ["scene-2000", "scene-2001", "scene-8000"]
    assert make(root, "--scenes", "1", "--seed", "8") == 2
    assert "was begun with seed 7" in capsys.readouterr().err


def _small_files() -> None:
    # Larger than a road network, smaller than a LiDAR sweep.
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))


@pytest.mark.slow
def test_full_disk_is_one_clear_error(tmp_path: Path, repository: Path) -> None:
    root = tmp_path / "root"
    environment = os.environ | {"PYTHONPATH": str(repository)}
    done = subprocess.run(
        command(root, "--scenes", "1"), env=environment, capture_output=True, text=True, preexec_fn=_small_files
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cannot write scene-2000" in line and "File too large" in line and "goes on where it stopped" in line
    assert not (root / VERSION).exists() and not (root / "samples").exists()


# On a file system of 40 MB: a scene is made, the disk is filled up, the next scene fails, room is made, it goes on.
FULL_DISK = """
set -u
mount -t tmpfs -o size=40m tmpfs "$DISK" || exit 77
"$@" --scenes 1 >/dev/null || exit 1
dd if=/dev/zero of="$DISK/filler" bs=64k 2>/dev/null
truncate -s -192k "$DISK/filler"
"$@" --scenes 2 2>"$SEEN/error"
echo $? >"$SEEN/code"
cp -r "$DISK/root" "$SEEN/full" && rm "$DISK/filler"
"$@" --scenes 2 >"$SEEN/said" || exit 1
cp -r "$DISK/root" "$SEEN/end"
"""


@pytest.mark.slow
def test_a_disk_that_runs_full_leaves_a_valid_root_and_the_run_goes_on(
    made: Path, tmp_path: Path, repository: Path
) -> None:
    disk, seen = tmp_path / "disk", tmp_path / "seen"
    for folder in (disk, seen):
        folder.mkdir()
    own = shutil.which("unshare")
    allowed = own and subprocess.run([own, "-Urm", "true"], capture_output=True).returncode == 0
    if not allowed:
        pytest.skip("this machine lets nobody mount a small file system of their own (unshare -Urm)")
    environment = os.environ | {"PYTHONPATH": str(repository), "DISK": str(disk), "SEEN": str(seen)}
    order = [str(own), "-Urm", "bash", "-c", FULL_DISK, "full_disk", *command(disk / "root")]
    done = subprocess.run(order, env=environment, capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    (line,) = (seen / "error").read_text().splitlines()
    assert "cannot write scene-2001: No space left on device" in line and "goes on where it stopped" in line
    assert (seen / "code").read_text() == "2\n"
    nuscenes = NuScenes(seen / "full", VERSION)
    assert [scene.name for scene in nuscenes.scenes] == ["scene-2000"]
    assert all(nuscenes.file(d).is_file() for d in nuscenes.sample_data(nuscenes.scenes[0]))
    assert "1 scenes were there before" in (seen / "said").read_text()
    assert contents(seen / "end") == contents(made)


@pytest.mark.parametrize("package", ["panda3d", "sumo"])
def test_missing_engine_is_one_clear_error(package: str, tmp_path: Path, repository: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "SUMO_HOME"}
    environment |= {"PYTHONPATH": str(repository), "PATH": ""}
    order = command(tmp_path / "root", "--scenes", "1", before=WITHOUT[package])
    done = subprocess.run(order, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "make setup-world" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "root").exists()


def test_kinds_are_listed_without_engines(repository: Path) -> None:
    order = [sys.executable, "-c", WITHOUT["panda3d"] + PROGRAM, "world", "list"]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    assert (
        "four_way_lights" in subprocess.run(order, env=environment, capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"width": 20}, "width is 20; it must lie between 160 and 1600"),
        ({"duration_s": 0.1}, r"duration is 0\.1"),
        ({"duration_s": float("nan")}, "duration is nan"),
    ],
)
def test_impossible_orders_are_refused(change: dict[str, float], said: str) -> None:
    right = {"seed": 1, "width": 320, "duration_s": 20.0, "rates": KEY_FRAMES_ONLY}
    with pytest.raises(WorldError, match=said):
        WorldOrder(**(right | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(("split", "count"), [("train", 6001), ("val", 2001), ("train", 0)])
def test_more_scenes_than_numbers_are_refused(split: str, count: int, tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=f"{count} scenes: split {split} takes 1 to"):
        WorldMaking(tmp_path, WorldOrder(1, 320, 20.0, KEY_FRAMES_ONLY), split, count, 1)


def test_seeds_of_splits_and_roots_never_meet(tmp_path: Path) -> None:
    seeds = set()
    for seed in (0, 1, 2):
        for split, count in (("train", 6000), ("val", 2000)):
            jobs = WorldMaking(tmp_path, WorldOrder(seed, 320, 20.0, KEY_FRAMES_ONLY), split, count, 1).jobs
            seeds |= {job.seed for job in jobs}
            assert len({job.salt for job in jobs} | {job.name for job in jobs}) == 2 * count
    assert len(seeds) == 3 * 8000
