"""A root without pixels becomes complete, survives being killed, and refuses what would mix."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("panda3d", reason="Panda3D is not installed (make setup-world)")

from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions, make_demo_scene
from distilldrive_ros.datasets.nuscenes import LIDAR_CHANNEL, NuScenes
from distilldrive_ros.datasets.point_files import points_of
from distilldrive_ros.geometry.poses import yaw_of
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.generation import with_generation
from distilldrive_ros.worlds.dataset.recorded_root import RenderOrder, RootRendering, out_settings
from distilldrive_ros.worlds.dataset.recorded_scene import write_whole


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and maps of a scene of two key frames with sweeps between, without any sensor file."""
    root = tmp_path_factory.mktemp("bare") / "root"
    make_demo_scene(root, np.random.default_rng(3), DemoSceneOptions(key_frames=2, sweeps_per_gap=1, width=160))
    for folder in ("samples", "sweeps"):
        shutil.rmtree(root / folder)
    scene = NuScenes(root, version_of(root)).scenes[0].name
    (root / "can_bus").mkdir(exist_ok=True)
    (root / "can_bus" / f"{scene}_vehicle_info.json").write_text("{}")
    return root


def version_of(root: Path) -> str:
    return next(p for p in root.glob("*/scene.json")).parent.name


@pytest.fixture(scope="module")
def complete(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("complete") / "out"
    shares: list[float] = []
    report = RootRendering(RenderOrder(bare, version_of(bare), out, sweeps=True), 1).run(shares.append)
    assert not report.failures
    assert sum(shares) == pytest.approx(1.0)
    return out


def files(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and ".render" not in p.parts
    }  # fmt: skip


def test_every_row_has_its_file_and_boxes_have_their_points(bare: Path, complete: Path) -> None:
    nuscenes = NuScenes(complete, version_of(complete))
    scene = nuscenes.scenes[0]
    rows = nuscenes.sample_data(scene)
    assert len(rows) == 3 * 7
    assert (complete / "can_bus" / f"{scene.name}_vehicle_info.json").read_text() == "{}"
    for row in rows:
        if row.modality == "camera":
            with Image.open(nuscenes.file(row)) as image:
                assert image.size == (row.width, row.height) == (160, 90)
                assert np.asarray(image).std() > 5
        else:
            assert len(points_of(bytearray(nuscenes.file(row).read_bytes()), nuscenes.file(row))) > 10_000
        pose = nuscenes.ego_pose(row.ego_pose_token)
        assert pose.translation[2] == 0
        assert pose.world_from_base[2, 2] == pytest.approx(1)
    before = NuScenes(bare, version_of(bare))
    old = {a.token: a for s in before.samples(before.scenes[0]) for a in before.annotations(s)}
    counts = []
    for sample in nuscenes.samples(scene):
        for a in nuscenes.annotations(sample):
            assert a.translation[2] == pytest.approx(a.size[2] / 2)
            np.testing.assert_array_equal(a.translation[:2], old[a.token].translation[:2])
            assert yaw_of(a.world_from_box) == pytest.approx(yaw_of(old[a.token].world_from_box))
            counts.append(a.num_lidar_points)
            assert a.visibility in ("", "v0-40", "v40-60", "v60-80", "v80-100")
    assert max(counts) > 50
    chain = [r for r in rows if r.channel == LIDAR_CHANNEL]
    assert [r.next for r in chain] == [*(r.token for r in chain[1:]), ""]
    assert all(p.is_file() for p in (complete / "maps").rglob("*.json"))


def test_a_killed_run_goes_on_and_gives_the_same_bytes(bare: Path, complete: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(complete, out)
    shutil.rmtree(out / version_of(complete))
    (out / ".render" / f"{NuScenes(bare, version_of(bare)).scenes[0].name}.json").unlink()
    lost = sorted(out.glob("s*/*/*"))[::3]
    assert len(lost) >= 7
    for path in lost:
        path.unlink()
    RootRendering(RenderOrder(bare, version_of(bare), out, sweeps=True), 1).run()
    assert files(out) == files(complete)


def test_a_finished_root_is_left_as_it_is_and_other_settings_are_refused(bare: Path, complete: Path) -> None:
    before = files(complete)
    report = RootRendering(RenderOrder(bare, version_of(bare), complete, sweeps=True), 1).run()
    assert report.already_there == 1
    assert files(complete) == before
    with pytest.raises(WorldError, match="was begun with"):
        RootRendering(RenderOrder(bare, version_of(bare), complete, width=320, sweeps=True), 1).run()


def test_foreign_folders_and_wrong_sizes_are_refused(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(WorldError, match="holds something else"):
        RootRendering(RenderOrder(bare, version_of(bare), tmp_path), 1).run()
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(WorldError, match="must lie between"):
        RenderOrder(bare, version_of(bare), tmp_path / "out", width=20)
    with pytest.raises(WorldError, match="is the root that is read"):
        RenderOrder(bare, version_of(bare), bare)


def test_the_command_scales_pictures_and_intrinsics(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["world", "render", str(bare), "--version", version_of(bare), "--out", str(out), "--width", "320"]
    assert main(arguments) == 0
    assert "1 scenes rendered by " in capsys.readouterr().out
    old, new = (NuScenes(r, version_of(r)) for r in (bare, out))
    rows = new.sample_data(new.scenes[0])
    assert all(row.is_key_frame for row in rows)
    row = next(r for r in rows if r.channel == "CAM_FRONT")
    assert (row.width, row.height) == (320, 180)
    with Image.open(new.file(row)) as image:
        assert image.size == (320, 180)
    k_old, k_new = (n.calibrated_sensor(row.calibrated_sensor_token).intrinsics for n in (old, new))
    assert k_old is not None
    assert k_new is not None
    assert k_new[0, 0] == pytest.approx(2 * k_old[0, 0])
    assert k_new[0, 2] + 0.5 == pytest.approx(2 * (k_old[0, 2] + 0.5))
    assert main([*arguments[:-1], "400"]) == 2
    assert "was begun with" in capsys.readouterr().err


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.jpg"
    write_whole(target, b"whole")
    assert target.read_bytes() == b"whole"
    blocked = tmp_path / "folder"
    (blocked / "b.jpg" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_whole(blocked / "b.jpg", b"whole")
    assert [p.name for p in blocked.iterdir()] == ["b.jpg"]


def test_settings_are_kept_beside_the_data(complete: Path) -> None:
    settings = json.loads((complete / ".render" / "settings.json").read_text())
    assert settings == with_generation({"version": version_of(complete), "width": None, "sweeps": True})


def test_a_root_of_another_version_is_not_continued(bare: Path, tmp_path: Path) -> None:
    order = RenderOrder(bare, version_of(bare), tmp_path / "out")
    (order.out / ".render").mkdir(parents=True)
    (order.out / ".render" / "settings.json").write_text(json.dumps(out_settings(order)))
    with pytest.raises(WorldError, match="another version of this software"):
        RootRendering(order, 1).run()


def test_without_panda3d_help_works_and_a_run_names_the_remedy(bare: Path, tmp_path: Path, repository: Path) -> None:
    code = "import sys; sys.modules['panda3d'] = None; from distilldrive_ros.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "world", "render"]

    def said(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], cwd=repository, capture_output=True, text=True)

    assert said("--help").returncode == 0
    refused = said(str(bare), "--version", version_of(bare), "--out", str(tmp_path / "out"))
    assert refused.returncode == 2
    assert "make setup-world" in refused.stderr
    assert not (tmp_path / "out").exists()
