"""Everything that describes a training, validated: the content of a file of config/train/."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.diffusion.augmentation import NO_CHANGE, DiffusionAugmentation
from distilldrive_ros.training.options import TrainingOptions
from distilldrive_ros.training.pipeline.augmentation import AugmentationConfig

STAGES = ("teacher", "perception", "student", "diffusiondrive")
OPTIMIZERS = ("adamw", "soap")
PRECISIONS = ("fp32", "bf16")


def _check(owner: str, limits: dict[str, tuple[float, float, float]]) -> None:
    """Values with their lowest and highest. Raises ConfigurationError."""
    wrong = [
        f"{owner}.{name} is {value!r}, must be within {low:g} to {high:g}"
        for name, (value, low, high) in limits.items()
        if not (isinstance(value, (int, float)) and low <= value <= high)
    ]
    if wrong:
        raise ConfigurationError(f"{'; '.join(wrong)}; correct the training configuration")


def _one_of(owner: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{owner} is {value!r}; use one of {', '.join(allowed)}")


@dataclass(frozen=True)
class DataConfig:
    """A nuScenes-schema root: `dataroot`, `version`, `scenes` (none: all).

    `cache` keeps targets and reduced pictures; `sequence_parts`: each scene is cut into so many sequences; `workers`
    load frames beside the training process (0: the process itself does).

    Held out: `held_out_scenes` of this root, which are then not trained on; or of `held_out_dataroot` (none named: all
    of them) and `held_out_version`, where those are given.
    """

    dataroot: Path = Path("data/nuscenes")
    version: str = "v1.0-trainval"
    scenes: tuple[str, ...] = ()
    cache: Path = Path("out/train/cache")
    sequence_parts: int = 2
    workers: int = 2
    held_out_scenes: tuple[str, ...] = ()
    held_out_dataroot: Path | None = None
    held_out_version: str | None = None

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        _check("data", {"sequence_parts": (self.sequence_parts, 1, 1000), "workers": (self.workers, 0, 128)})

    @property
    def held_out(self) -> bool:
        """Whether there are frames that training must not see."""
        return bool(self.held_out_scenes) or self.held_out_dataroot is not None


@dataclass(frozen=True)
class ModelConfig:
    """Presets of the networks and where their weights and anchors come from.

    `repaired`: without the published networks' defects; `generative` False leaves the generative module out;
    `measured_speed`: teacher and student are told the speed of the last step, see `MotionConfig`.
    `anchors`: file of `train anchors`, None for plain geometry. Of the student stage: `perception_weights` of stage 1,
    `teacher_weights` of stage 0; `freeze_perception` leaves perception as stage 1 made it: what it sees is computed
    once and kept in `data.cache`, without augmentation, and motion and planning alone are trained. With
    `teacher_weights` the camera+LiDAR model is distilled, too, unless `options.distillation` is false.
    """

    student: str = "student_tiny"
    teacher: str = "teacher_tiny"
    diffusiondrive: str = "diffusiondrive_tiny"
    repaired: bool = False
    generative: bool = True
    measured_speed: bool = False
    anchors: Path | None = None
    perception_weights: Path | None = None
    teacher_weights: Path | None = None
    freeze_perception: bool = False


@dataclass(frozen=True)
class OptimizerConfig:
    """`name` adamw or soap. The rate is `lr`, that of the image backbone `backbone_factor` times it.

    Over the first `warmup_iterations` it rises linearly from `warmup_start` of the schedule, which falls along half a
    cosine to `final_factor` of `lr`. Gradients are clipped to `clip_norm`.
    """

    name: str = "adamw"
    lr: float = 3e-4
    weight_decay: float = 1e-3
    backbone_factor: float = 1.0
    warmup_iterations: int = 0
    warmup_start: float = 1 / 3
    final_factor: float = 1e-3
    clip_norm: float = 25.0

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        _one_of("optimizer.name", self.name, OPTIMIZERS)
        _check(
            "optimizer",
            {
                "lr": (self.lr, 1e-9, 1.0),
                "weight_decay": (self.weight_decay, 0.0, 1.0),
                "backbone_factor": (self.backbone_factor, 0.0, 10.0),
                "warmup_iterations": (self.warmup_iterations, 0, math.inf),
                "warmup_start": (self.warmup_start, 0.0, 1.0),
                "final_factor": (self.final_factor, 0.0, 1.0),
                "clip_norm": (self.clip_norm, 1e-6, math.inf),
            },
        )


@dataclass(frozen=True)
class RunConfig:
    """One training: `iterations` of `batch_size` streams per process, from `seed`.

    `precision` of the image network: fp32 or bf16 (autocast). `dropout` False and `frozen_norm` True (batch norm keeps
    its running statistics) suit very small data. A checkpoint every `checkpoint_interval`, the last `keep_checkpoints`
    stay; numbers every `log_interval`. `threads` of torch, 0 for its own choice. Losses on the frames held out every
    `held_out_interval` and at the end, 0 for never; the weights with the lowest total are kept beside the last ones.
    """

    iterations: int = 1000
    batch_size: int = 1
    seed: int = 0
    precision: str = "fp32"
    dropout: bool = True
    frozen_norm: bool = False
    checkpoint_interval: int = 500
    keep_checkpoints: int = 2
    log_interval: int = 10
    held_out_interval: int = 0
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        _one_of("run.precision", self.precision, PRECISIONS)
        _check(
            "run",
            {
                "iterations": (self.iterations, 1, math.inf),
                "batch_size": (self.batch_size, 1, 4096),
                "seed": (self.seed, 0, 2**31 - 1),
                "checkpoint_interval": (self.checkpoint_interval, 1, math.inf),
                "keep_checkpoints": (self.keep_checkpoints, 1, 1000),
                "log_interval": (self.log_interval, 1, math.inf),
                "held_out_interval": (self.held_out_interval, 0, math.inf),
                "threads": (self.threads, 0, 1024),
            },
        )


@dataclass(frozen=True)
class TrainConfig:
    """A training of `stage`, one of `STAGES`. The stage `diffusiondrive` has an augmentation of its own."""

    stage: str
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    options: TrainingOptions = field(default_factory=TrainingOptions)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    diffusion_augmentation: DiffusionAugmentation = NO_CHANGE
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        _one_of("stage", self.stage, STAGES)
        if self.model.freeze_perception and self.stage != "student":
            raise ConfigurationError("model.freeze_perception is for the student stage alone; set it to false")
        if self.run.held_out_interval and not self.data.held_out:
            raise ConfigurationError(
                "run.held_out_interval needs frames that are not trained on; name data.held_out_scenes or "
                "data.held_out_dataroot, or set it to 0"
            )
        if self.plan_distillation and self.diffusion_augmentation.mirror > 0:
            raise ConfigurationError(
                "a teacher sees the world as it is: set diffusion_augmentation.mirror to 0, or options.distillation to "
                "false"
            )

    @property
    def plan_distillation(self) -> bool:
        """Whether a teacher is at the side of the camera+LiDAR model: where its weights are given and not refused."""
        return self.stage == "diffusiondrive" and self.options.distillation and self.model.teacher_weights is not None
