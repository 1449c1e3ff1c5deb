"""Training configurations: files that ship are valid, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.losses.latent import LatentAlignment
from distilldrive_ros.training.trainer.config import STAGES, TrainConfig
from distilldrive_ros.training.trainer.config_file import config_from, plain, read_config
from distilldrive_ros.training.trainer.stages import student_config


def test_the_files_that_ship_are_valid(repository: Path) -> None:
    files = sorted((repository / "config" / "train").glob("*.yaml"))
    assert {f"{stage}{size}" for stage in STAGES for size in ("", "_tiny")} <= {path.stem for path in files}
    for path in files:
        config = read_config(path)
        assert path.stem.startswith(config.stage)
        student_config(config)


def test_a_configuration_survives_yaml() -> None:
    content = {"stage": "student", "optimizer": {"lr": "3e-4"}, "options": {"alignment": "matched"}, "data": {}}
    alignment = LatentAlignment.MATCHED
    content["options"]["alignment"] = alignment.value
    config = config_from(TrainConfig, content)
    assert config.optimizer.lr == 3e-4
    assert config.options.alignment is alignment
    again = config_from(TrainConfig, yaml.safe_load(yaml.safe_dump(plain(config))))
    assert again == config


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("stage: teacher\nrun: {iterations: 5}\n")
    config = read_config(path, {"run.iterations": 7, "data.scenes": ["scene-0061"], "data.dataroot": "/somewhere"})
    assert config.run.iterations == 7
    assert config.data.scenes == ("scene-0061",)
    assert config.data.dataroot == Path("/somewhere")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stage: driver", "stage is 'driver'; use one of teacher"),
        ("run: {iterations: 5}", "stage is missing"),
        ("stage: teacher\nrun: {speed: 5}", r"run.speed is unknown; use one of run.iterations"),
        ("stage: teacher\nrun: {iterations: many}", "run.iterations is 'many', must be of type int"),
        ("stage: teacher\nrun: {iterations: true}", "run.iterations is True"),
        ("stage: teacher\nrun: {batch_size: 0}", "run.batch_size is 0, must be within 1"),
        ("stage: teacher\nrun: {precision: fp8}", "run.precision is 'fp8'"),
        ("stage: teacher\nrun: 5", "run must be a mapping"),
        ("stage: teacher\noptimizer: {lr: -1}", "optimizer.lr is -1"),
        ("stage: teacher\noptimizer: {lr: .nan}", "optimizer.lr is nan"),
        ("stage: teacher\ndata: {scenes: all}", "data.scenes is 'all', must be a list"),
        ("stage: teacher\naugmentation: {resize: [1.0]}", "augmentation.resize is .*2 entries"),
        ("stage: teacher\noptions: {alignment: sideways}", "options.alignment is 'sideways'; use one of"),
        ("- stage", "is no mapping"),
        ("stage: [", "cannot be read"),
    ],
)
def test_mistakes_are_named_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        read_config(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_config(tmp_path / "nowhere.yaml")
