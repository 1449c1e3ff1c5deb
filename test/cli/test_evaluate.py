"""`distilldrive evaluate`: two models side by side, partial results named as such, one line for every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distilldrive_ros.cli.demo_data import convert_drive, demo_drive
from distilldrive_ros.cli.main import main
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions

KEY_FRAMES = 9


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    return convert_drive(demo_drive(folder, DemoSceneOptions(key_frames=KEY_FRAMES, width=160)), folder / "bags")[0]


def evaluate(*words: object) -> int:
    return main(["evaluate", *map(str, words)])


def test_two_models_side_by_side(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, numbers = tmp_path / "out" / "e.html", tmp_path / "out" / "e.json"
    words = ["--model", "constant_velocity", "--model", "ctra", "--json", numbers, "--html", page]
    assert evaluate(bag, *words) == 0
    assert "3 of 9 key frames in 1 scenes" in capsys.readouterr().out
    content = json.loads(numbers.read_text())
    assert [m["model_id"] for m in content["models"]] == ["constant_velocity@rule", "ctra@rule"]
    for model in content["models"]:
        loop = model["open_loop"]
        assert (loop["key_frames"], loop["scored"], loop["unscored"]) == (9, 3, {"no_truth": 6})
        for convention in ("stp3_vad", "uniad"):
            l2 = loop["planning"][convention]["l2_m"]["3s"]
            assert l2["samples"] == 3 and l2["mean"] >= 0 and l2["ci95_low"] is None
        assert model["latency_s"]["total"]["count"] == KEY_FRAMES
        assert model["scenes"][0]["samples"] == 3
    html = page.read_text()
    assert html.count("<svg") == 2 and "key frames" in html
    for forbidden in ("http://", "https://", "<script src", "<link"):
        assert forbidden not in html.replace("http://www.w3.org", "")


def test_numbers_are_the_same_every_time(bag: Path, tmp_path: Path) -> None:
    results = []
    for name in ("a.json", "b.json"):
        assert evaluate(bag, "--model", "ctra", "--json", tmp_path / name) == 0
        results.append(json.loads((tmp_path / name).read_text())["models"][0]["open_loop"])
    assert results[0] == results[1]


@pytest.mark.slow
def test_untrained_network_says_so(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    assert evaluate(bag, "--model", "student_tiny", "--html", tmp_path / "e.html", "--json", tmp_path / "e.json") == 0
    assert "the weights are untrained: these numbers mean nothing" in capsys.readouterr().out
    assert "these numbers mean nothing" in (tmp_path / "e.html").read_text()
    (model,) = json.loads((tmp_path / "e.json").read_text())["models"]
    unscored = sum(model["open_loop"]["unscored"].values())
    assert model["open_loop"]["scored"] + unscored == KEY_FRAMES


def test_unusable_bags_are_left_out_by_name(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(bag), "--model", "ctra", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert evaluate(bag, tmp_path / "plans.mcap", bag, "--model", "ctra", "--json", tmp_path / "e.json") == 1
    said = capsys.readouterr().err
    assert "plans.mcap holds no ground truth" in said
    assert "holds scene scene-demo, which another bag has given already" in said
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["models"][0]["open_loop"]["key_frames"] == KEY_FRAMES  # not counted twice
    assert len(content["left_out"]) == 2


def test_scene_too_short_for_three_seconds_gives_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short, _ = convert_drive(demo_drive(tmp_path, DemoSceneOptions(key_frames=3, width=160)), tmp_path / "bags")
    assert evaluate(short, "--model", "ctra", "--json", tmp_path / "e.json", "--html", tmp_path / "e.html") == 0
    assert "no key frame can be scored" in capsys.readouterr().out
    (model,) = json.loads((tmp_path / "e.json").read_text())["models"]
    assert model["open_loop"]["unscored"] == {"no_truth": 3}
    assert model["open_loop"]["planning"]["uniad"]["l2_m"]["1s"]["mean"] is None


def test_recorded_plans_score_as_the_replay_does(bag: Path, tmp_path: Path) -> None:
    assert main(["replay", str(bag), "--model", "ctra", "--out", str(tmp_path)]) == 0
    words = ["--model", "ctra", "--plans", f"recorded={tmp_path / 'plans.mcap'}", "--json", tmp_path / "e.json"]
    assert evaluate(bag, *words) == 0
    replayed, recorded = json.loads((tmp_path / "e.json").read_text())["models"]
    assert recorded["name"] == "recorded" and recorded["model_id"] == "ctra@rule"
    for name in ("key_frames", "scored", "unscored"):
        assert recorded["open_loop"][name] == replayed["open_loop"][name]
    for convention in ("stp3_vad", "uniad"):
        one, other = (m["open_loop"]["planning"][convention]["l2_m"]["avg"] for m in (recorded, replayed))
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-9)


def test_plans_of_another_drive_are_refused(
    bag: Path, tmp_path: Path, shared_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shared_dir / "data" / "nuscenes-mini-tables"
    real = tmp_path / "bags"
    assert main(["convert", "--dataroot", str(root), "--scene", "scene-0061", "--out", str(real)]) == 0
    assert main(["replay", str(bag), "--model", "ctra", "--out", str(tmp_path / "plans")]) == 0
    plans = f"recorded={tmp_path / 'plans' / 'plans.mcap'}"
    capsys.readouterr()
    assert evaluate(real / "scene-0061", "--plans", plans) == 2
    assert "scene-0061; these are not of the same drive" in capsys.readouterr().err
    # Beside a bag that fits, the other is left out by name.
    assert evaluate(bag, real / "scene-0061", "--plans", plans, "--json", tmp_path / "e.json") == 1
    content = json.loads((tmp_path / "e.json").read_text())
    assert content["scenes"] == ["scene-demo"] and len(content["left_out"]) == 1


def test_mistakes_are_one_line(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        ([tmp_path / "nowhere", "--model", "ctra"], "no bag can be evaluated: there is no bag at"),
        ([bag, "--model", "warp"], "model 'warp' is unknown"),
        ([bag, "--model", "ctra", "--model", "ctra"], "names the same model twice"),
        ([bag, "--model", "ctra=x.pth"], "takes no weights"),
        ([bag], "nothing to evaluate; give --model"),
        ([bag, "--plans", "plans.mcap"], "must be NAME=BAG"),
        ([bag, "--plans", f"x={bag}"], "holds no plans"),
    ):
        assert evaluate(*words) == 2
        err = capsys.readouterr().err
        assert said in err and len(err.strip().splitlines()) == 1
