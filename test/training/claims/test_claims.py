"""The claims on the made-up scene: students on a stored perception drive as whole ones do; the command end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.cli.main import main
from distilldrive_ros.cli.replay_settings import frame_settings
from distilldrive_ros.datasets.demo_scene.scene_tables import VERSION
from distilldrive_ros.evaluation.replay import BagReplay, ReplayedSet
from distilldrive_ros.models.distilldrive.config import student_tiny
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.processor import DistillDriveModel
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.scene.errors import ConfigurationError, SensorDataError
from distilldrive_ros.training.claims.drivers import PerceivedStudent
from distilldrive_ros.training.claims.study import STUDENTS, TEACHER, Study
from distilldrive_ros.training.losses.value import ValueGradient
from distilldrive_ros.training.options import fixed_student, without_generative
from distilldrive_ros.training.pipeline.perceived_scenes import PerceivedScenes, perception_fingerprint
from distilldrive_ros.training.stages.official import prefixed
from distilldrive_ros.training.stages.perception import MOTION_PREFIX
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.targets.scene_files import load_or_make_targets
from distilldrive_ros.training.trainer.config import DataConfig, ModelConfig, TrainConfig
from distilldrive_ros.training.trainer.looking import look_at_scenes

pytest.importorskip("tensorboard", reason="the extra `train` is not installed")


@pytest.fixture(scope="module")
def network() -> StudentNetwork:
    return untrained_network(fixed_student(student_tiny()), torch.Generator().manual_seed(0)).eval()


@pytest.fixture(scope="module")
def perception_weights(network: StudentNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("perception") / "weights.safetensors"
    save_file(prefixed(network, without=MOTION_PREFIX), path)
    return path


@pytest.fixture(scope="module")
def config(demo_root: Path, perception_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    data = DataConfig(demo_root, VERSION, cache=tmp_path_factory.mktemp("cache"), workers=0)
    model = ModelConfig(repaired=True, perception_weights=perception_weights, freeze_perception=True)
    return TrainConfig("student", data, model)


@pytest.fixture(scope="module")
def targets(config: TrainConfig, network: StudentNetwork) -> SceneTargets:
    data = config.data
    (only,) = load_or_make_targets(data.dataroot, data.version, [], network.config.cameras, data.cache)
    return only


@pytest.fixture(scope="module")
def perceived(config: TrainConfig, targets: SceneTargets) -> PerceivedScenes:
    return look_at_scenes(config, [targets], torch.device("cpu"), lambda words: None)


def driven(bag: Path, model: DrivingModel) -> list[ReplayedSet]:
    with open_bag(bag) as reader:
        return list(BagReplay(reader, model, frame_settings("nuscenes", True, ["student_tiny"])))


def test_a_student_on_what_was_seen_plans_as_the_whole_student(
    demo_root: Path, network: StudentNetwork, targets: SceneTargets, perceived: PerceivedScenes, tmp_path: Path
) -> None:
    (report,) = DatasetConversion(ConversionSettings(demo_root, VERSION, tmp_path, sweeps=False)).run()
    bag = tmp_path / report.scene_name
    whole = driven(bag, DistillDriveModel(network))
    stored = driven(bag, PerceivedStudent(network, targets, perceived, "stored@test"))
    assert len(whole) == len(stored) == targets.key_frames
    for expected, found in zip(whole, stored, strict=True):
        assert expected.output is not None
        assert found.output is not None
        a, b = expected.output.candidates, found.output.candidates
        # Features are kept in sixteen bits.
        np.testing.assert_allclose(b.x, a.x, atol=0.02)
        np.testing.assert_allclose(b.y, a.y, atol=0.02)
        np.testing.assert_allclose(b.score, a.score, atol=0.01)


def test_what_was_seen_is_kept_and_belongs_to_one_perception(
    config: TrainConfig, network: StudentNetwork, targets: SceneTargets, perceived: PerceivedScenes
) -> None:
    def fingerprint(changed: StudentNetwork) -> str:
        return perception_fingerprint(changed, without=MOTION_PREFIX)

    said: list[str] = []
    look_at_scenes(config, [targets], torch.device("cpu"), said.append)
    assert said == []
    plain = untrained_network(without_generative(network.config), torch.Generator().manual_seed(0))
    assert fingerprint(plain) == fingerprint(network)
    with torch.no_grad():
        plain.head.motion_plan_head.fc_before.weight += 1
        assert fingerprint(plain) == fingerprint(network)
        plain.head.det_head.fc_before.weight += 1
    assert fingerprint(plain) != fingerprint(network)


def test_frames_that_could_not_be_read_are_known_as_such(
    config: TrainConfig, network: StudentNetwork, targets: SceneTargets, tmp_path: Path
) -> None:
    images = targets.images.copy()
    images[2, 0] = "samples/CAM_FRONT/missing.jpg"
    broken = replace(targets, images=images)
    elsewhere = replace(config, data=replace(config.data, cache=tmp_path))
    found = look_at_scenes(elsewhere, [broken], torch.device("cpu"), lambda words: None)
    assert found.frame(broken, 1).ids.shape == (1, network.config.detection.num_anchors)
    with pytest.raises(SensorDataError, match="pictures cannot be read"):
        found.frame(broken, 2)
    (path,) = tmp_path.glob("perceived-*/*.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    assert not found.has(broken)
    with pytest.raises(SensorDataError, match="delete it"):
        found.frame(broken, 1)


def files(repository: Path) -> tuple[Path, Path]:
    folder = repository / "config" / "train"
    return folder / "teacher_tiny.yaml", folder / "student_tiny.yaml"


def test_students_differ_in_what_their_names_say(repository: Path, perception_weights: Path, tmp_path: Path) -> None:
    teacher, student = files(repository)
    values = {"model.perception_weights": str(perception_weights)}
    study = Study(teacher, student, values, (0, 3), tmp_path)
    kinds = {kind: study.config(kind, 3) for kind in STUDENTS}
    assert {kind: (c.options.distillation, c.options.value, c.model.generative) for kind, c in kinds.items()} == {
        "distilled": (True, True, True),
        "no distillation": (False, True, True),
        "no reinforcement": (True, False, True),
        "no generative module": (True, True, False),
    }
    # Trained for itself alone the value network would change nothing that is driven.
    assert {c.options.value_gradient for c in kinds.values()} == {ValueGradient.STATUS}
    assert {c.run.seed for c in kinds.values()} == {3}
    assert kinds["distilled"].model.teacher_weights == study.weights(TEACHER, 3)
    assert list(study.trainings())[:2] == [(TEACHER, 0), (TEACHER, 3)]
    with pytest.raises(ConfigurationError, match="each once"):
        Study(teacher, student, values, (1, 1), tmp_path)
    thawed = replace(study, values={**values, "model.freeze_perception": False})
    with pytest.raises(ConfigurationError, match=r"set model\.freeze_perception to true"):
        thawed.config("distilled", 0)


def test_the_command_end_to_end(
    demo_root: Path, config: TrainConfig, perception_weights: Path, repository: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    teacher, student = files(repository)
    words = [
        "train", "claims", "--teacher", str(teacher), "--student", str(student), "--dataroot", str(demo_root),
        "--version", VERSION, "--held-out", f"made-up={demo_root}:{VERSION}", "--seeds", "0", "--out", str(tmp_path),
    ]  # fmt: skip
    given = {
        "model.perception_weights": perception_weights, "data.cache": config.data.cache, "data.workers": 0,
        "run.iterations": 2, "run.threads": 1, "run.batch_size": 2,
    }  # fmt: skip
    words += [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    assert main(words) == 0
    document = json.loads((tmp_path / "claims.json").read_text())
    rows = document["open loop, made-up"]
    assert set(rows) == {TEACHER, *STUDENTS, "constant_velocity", "ctra"}
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/weights.safetensors")}
    assert len(made) == 1 + len(STUDENTS)
    table = (tmp_path / "claims.md").read_text()
    assert all(f"| {kind} |" in table for kind in rows)
    assert table in capsys.readouterr().out
    # Again: nothing is trained anew, and the numbers stay.
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert json.loads((tmp_path / "claims.json").read_text())["open loop, made-up"] == rows
