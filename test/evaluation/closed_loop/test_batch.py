"""Models through the same worlds: counts, the page, the same numbers every time."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from distilldrive_ros.cli.main import main
from distilldrive_ros.evaluation.closed_loop.batch import BatchResult, BatchSettings, fitted_rig, run_batch
from distilldrive_ros.evaluation.closed_loop.page import closed_loop_html
from distilldrive_ros.models.registry import load_model
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.driving.closed_loop import DrivingSettings
from distilldrive_ros.worlds.driving.drive_log import EndReason


@dataclass
class Worlds:
    """A clear road, a parked car, and one that cannot be made."""

    small_world: Any
    broken: bool = False

    def __len__(self) -> int:
        return 3 if self.broken else 2

    def open(self, number: int) -> Any:
        if number == 2:
            raise WorldError("SUMO is not installed; run `make setup-world`")
        drivers = (self.small_world.Driver(80.0, 0.0, 0.0),) if number else ()
        return self.small_world.SmallWorld(drivers=drivers, name=f"small-{number}")

    def renderer(self, session: Any, rig: Any) -> Any:
        raise AssertionError("rules need no pictures")


def run(small_world: ModuleType, broken: bool = False) -> tuple[BatchResult, list[str]]:
    said: list[str] = []
    models = {"constant_velocity": load_model("constant_velocity"), "pdm_closed": load_model("pdm_closed")}
    settings = BatchSettings(DrivingSettings(time_limit_s=20.0, route_m=120.0))
    return run_batch(Worlds(small_world, broken), models, settings, said.append), said


@pytest.fixture(scope="module")
def batch(small_world: ModuleType) -> tuple[BatchResult, list[str]]:
    return run(small_world, broken=True)


def test_every_model_drives_in_every_world(batch: tuple[BatchResult, list[str]]) -> None:
    result, said = batch
    rule, privileged = result.models
    assert [r.end for r in rule.results] == [EndReason.ARRIVED, EndReason.COLLISION]
    assert [r.end for r in privileged.results] == [EndReason.ARRIVED, EndReason.TIME_LIMIT]
    assert rule.summary["collisions_at_fault"] == 1 and privileged.summary["collisions"] == 0
    assert rule.results[0].completion == 1.0 and rule.results[0].driven_m == pytest.approx(115.0, abs=1.0)
    assert result.left_out == {"world 2": "SUMO is not installed; run `make setup-world`"}
    assert len(said) == 6 and said[0] == "constant_velocity small-0"


def test_the_numbers_are_the_same_every_time(batch: tuple[BatchResult, list[str]], small_world: ModuleType) -> None:
    first = json.dumps(batch[0].to_json()["models"], allow_nan=False)
    assert json.dumps(run(small_world)[0].to_json()["models"], allow_nan=False) == first


def test_the_page_stands_alone_and_its_drawings_are_well_formed(batch: tuple[BatchResult, list[str]]) -> None:
    page = closed_loop_html(batch[0], "Closed <loop>", "distilldrive evaluate", {"machine": "this one"})
    assert "Closed &lt;loop&gt;" in page and "world 2 was left out." in page and page.count("<svg") == 4
    for forbidden in ("http://", "https://", "<script src", "<link"):
        assert forbidden not in page.replace("http://www.w3.org", "")
    for model in batch[0].models:
        for picture in model.pictures:
            assert ET.fromstring(picture).tag.endswith("svg")
    assert "the vehicle touches vehicle.car 0" in page and "100.0 %" in page


def test_no_world_at_all_is_one_error(small_world: ModuleType) -> None:
    class Nothing(Worlds):
        def open(self, number: int) -> Any:
            raise WorldError("SUMO is not installed; run `make setup-world`")

    with pytest.raises(WorldError, match=r"no world can be driven in: SUMO is not installed; run `make setup-world`"):
        run_batch(Nothing(small_world), {"a": load_model("ctra")}, BatchSettings(DrivingSettings()))


def test_only_the_cameras_that_a_model_asks_for_are_drawn() -> None:
    rig = fitted_rig(320, ("CAM_FRONT", "CAM_FRONT_LEFT"))
    assert {c.channel for c in rig.cameras} == {"CAM_FRONT", "CAM_FRONT_LEFT"} and rig.cameras[0].width == 320


def test_the_command_drives_through_generated_worlds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("traci", reason="SUMO is not installed (make setup-world)")
    page, numbers = tmp_path / "c.html", tmp_path / "c.json"
    words = ["evaluate", "--closed-loop", "--scenes", "2", "--kinds", "empty", "straight", "--route-length", "60"]
    models = ["--model", "expert", "--model", "constant_velocity", "--seed", "4"]
    assert main([*words, *models, "--html", str(page), "--json", str(numbers)]) == 0
    assert "expert: route completion 100.0 %, 0.00 collisions per km (0, 0 at fault)" in capsys.readouterr().out
    content = json.loads(numbers.read_text())
    assert [m["name"] for m in content["models"]] == ["expert", "constant_velocity"]
    assert [d["world"] for d in content["models"][0]["drives"]] == ["empty-4", "straight-5"]
    assert page.read_text().count("<svg") == 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_network_drives_by_what_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("traci", reason="SUMO is not installed (make setup-world)")
    pytest.importorskip("panda3d", reason="Panda3D is not installed (make setup-world)")
    words = ["evaluate", "--closed-loop", "--scenes", "1", "--kinds", "empty", "--image-width", "128"]
    numbers = tmp_path / "n.json"
    assert main([*words, "--time-limit", "3", "--model", "student_tiny", "--threads", "1", "--json", str(numbers)]) == 0
    assert "the weights are untrained; these numbers mean nothing" in capsys.readouterr().out
    (drive,) = json.loads(numbers.read_text())["models"][0]["drives"]
    assert drive["plans"] + drive["refused_plans"] >= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bag"], "leave bags and --plans out"),
        (["--scenes", "0"], "--scenes must be 1 or more"),
        (["--kinds", "strait"], "did you mean 'straight'?"),
        (["--time-limit", "nan"], "must"),
        (["--route-length", "-1"], "route_m = -1.0 must be a positive number"),
        ([], "nothing to evaluate; give --model"),
        (["--model", "ctra", "--model", "ctra"], "names the same model twice"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words, "--closed-loop"]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and message in errors[0]


def test_without_bags_and_closed_loop_the_choice_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--model", "ctra"]) == 2
    assert "give bags made by `distilldrive convert`, or --closed-loop" in capsys.readouterr().err
