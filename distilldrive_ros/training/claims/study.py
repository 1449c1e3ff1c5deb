"""The trainings behind the papers' claims: teachers, distilled students, and students with a part left out, by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.trainer.checkpoints import WEIGHTS_FILE
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.config_file import read_config
from distilldrive_ros.training.trainer.training import train

TEACHER = "teacher"
STUDENTS: Mapping[str, Mapping[str, object]] = {
    "distilled": {},
    "no distillation": {"options.distillation": False},
    "no reinforcement": {"options.value": False},
    "no generative module": {"model.generative": False},
}
"""The students by the name that the table shows, with what makes each differ from the first."""


@dataclass(frozen=True)
class Study:
    """`teacher`, `student`: files of the two stages; `values`: of both, by dotted name, such as the data's root.

    One training of each kind per seed, each in a folder of its own under `out`. All students stand on the perception
    of `values`; a student of a seed has the teacher of that seed. They share it frozen, so that they differ in nothing
    but their planning.
    """

    teacher: Path
    student: Path
    values: Mapping[str, object]
    seeds: tuple[int, ...]
    out: Path

    def __post_init__(self) -> None:
        """Raises ConfigurationError: no seed, or one given twice."""
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigurationError(f"seeds are {list(self.seeds)}; give one or more, each once")

    def folder(self, kind: str, seed: int) -> Path:
        """Where a training lies; `kind`: `TEACHER` or one of `STUDENTS`."""
        return self.out / f"{kind.replace(' ', '-')}-{seed}"

    def weights(self, kind: str, seed: int) -> Path:
        """Weights of a training."""
        return self.folder(kind, seed) / WEIGHTS_FILE

    def config(self, kind: str, seed: int) -> TrainConfig:
        """Configuration of a training.

        Raises:
            ConfigurationError: a file cannot be used, or the student's perception is not frozen.
        """
        if kind == TEACHER:
            return read_config(self.teacher, {**self.values, "run.seed": seed})
        taught: dict[str, object] = {"model.teacher_weights": str(self.weights(TEACHER, seed))}
        config = read_config(self.student, {**self.values, **taught, **STUDENTS[kind], "run.seed": seed})
        if not config.model.freeze_perception:
            raise ConfigurationError(
                f"{self.student}: students are compared on one perception; set model.freeze_perception to true"
            )
        return config

    def trainings(self) -> Iterator[tuple[str, int]]:
        """All trainings, in an order in which each finds what it needs."""
        for kind in (TEACHER, *STUDENTS):
            for seed in self.seeds:
                yield kind, seed

    def run(self, progress: Callable[[str], object]) -> None:
        """Train what is not there yet; a training that was stopped goes on.

        Raises:
            DistillDriveError: data, configuration, checkpoint or disk; the message says which and what helps.
        """
        for kind, seed in self.trainings():
            config, folder = self.config(kind, seed), self.folder(kind, seed)
            if not self.weights(kind, seed).is_file():
                progress(f"training {kind}, seed {seed}")
                train(config, folder, resume=True)
