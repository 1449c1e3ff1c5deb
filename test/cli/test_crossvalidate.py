"""`distilldrive crossvalidate`: weights for every scene that have not seen it, the same every time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distilldrive_ros.bags.convert import convert_scene
from distilldrive_ros.bags.writer import BagWriter
from distilldrive_ros.bench.scratch_dataset import make_scratch_dataset
from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.nuscenes import NuScenes

KEY_FRAMES = 9


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two scenes of other names, without pixels."""
    folder = tmp_path_factory.mktemp("drives")
    out = []
    for index in range(2):
        data = make_scratch_dataset(folder / str(index), np.random.default_rng(index), key_frames=KEY_FRAMES, turns=1)
        for path in data.files:
            path.unlink()
        table = data.root / data.version / "scene.json"
        (scene,) = json.loads(table.read_text())
        table.write_text(json.dumps([{**scene, "name": f"scene-{index}"}]))
        nuscenes = NuScenes(data.root, data.version)
        convert_scene(nuscenes, nuscenes.scenes[0], folder / f"bag{index}")
        out.append(str(folder / f"bag{index}"))
    return out


def test_each_scene_is_driven_by_weights_that_have_not_seen_it(
    bags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        words = ["--out", str(tmp_path / name), "--epochs", "3", "--json", str(tmp_path / f"{name}.json")]
        assert main(["crossvalidate", *bags, *words]) == 0
    names = {"without-scene-0.safetensors", "without-scene-1.safetensors"}
    assert {p.name for p in (tmp_path / "a").iterdir()} == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    folds = json.loads((tmp_path / "a.json").read_text())["folds"]
    assert [(f["scene"], f["trained_on"]) for f in folds] == [("scene-0", ["scene-1"]), ("scene-1", ["scene-0"])]
    assert all(f["samples"] == f["training_samples"] == KEY_FRAMES - 6 for f in folds)
    assert "scene-0: 3 key frames" in capsys.readouterr().out
    column, numbers = f"ego_mlp={tmp_path / 'a'}", tmp_path / "e.json"
    assert main(["evaluate", *bags, "--model", column, "--json", str(numbers)]) == 0
    (model,) = json.loads(numbers.read_text())["models"]
    assert "cross-validated: 2 sets of weights" in " ".join(model["notes"]) and model["open_loop"]["scored"] == 6


def test_mistakes_are_one_line(bags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BagWriter(tmp_path / "empty"):
        pass
    for given, said in (
        ([bags[0]], "needs the bags of two or more scenes"),
        ([bags[0], bags[0]], "a scene is given twice"),
        ([bags[0], str(tmp_path / "empty")], "holds no ground truth"),
        ([*bags, "--epochs", "0"], "epochs = 0 is out of range"),
    ):
        assert main(["crossvalidate", *given, "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
