"""How the student is trained: as published, without the published defects, and with parts left out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from distilldrive_ros.models.distilldrive.config import DistillDriveConfig
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.losses.latent import LatentAlignment
from distilldrive_ros.training.losses.value import ValueGradient
from distilldrive_ros.training.losses.weights import LossWeights, PlanDistillationWeights


@dataclass(frozen=True)
class TrainingOptions:
    """Options of stages 1 and 2 that are not those of the network.

    Ablations: `distillation` (a teacher at all), `value` (the reinforcement part); the generative module is left out
    by `motion.generative` of the network's configuration. As published: `teacher_dropout` leaves the frozen teacher in
    training mode (quirk Q12), `alignment` gives tokens the futures of other agents (Q6); `value_gradient` says what the
    reinforcement part changes, None as published or, in a repaired training, the value alone. `latent_noise` draws the
    latent of the future instead of taking its mean, `grid_mask` is the probability of holes in the images.

    The camera+LiDAR model takes `distillation`, with a teacher's weights, `plan_distillation`, and `noise_draws`, how
    many noisy anchors each frame is trained with at once (1 as published), nothing else.

    Raises ConfigurationError from the constructor when a number is out of its range.
    """

    distillation: bool = True
    value: bool = True
    teacher_dropout: bool = True
    alignment: LatentAlignment = LatentAlignment.ANNOTATION
    value_gradient: ValueGradient | None = None
    latent_noise: bool = True
    grid_mask: float = 0.7
    weights: LossWeights = field(default_factory=LossWeights)
    plan_distillation: PlanDistillationWeights = field(default_factory=PlanDistillationWeights)
    noise_draws: int = 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.grid_mask <= 1.0:
            raise ConfigurationError(f"grid_mask is {self.grid_mask!r}; it is a probability, from 0 to 1")
        if not 1 <= self.noise_draws <= 64:
            raise ConfigurationError(f"noise_draws is {self.noise_draws!r}; it must lie between 1 and 64")


def fixed_options(options: TrainingOptions) -> TrainingOptions:
    """The same training without the defects of the published one (Q6, Q12, and what `ValueGradient.STATUS` does)."""
    gradient = options.value_gradient or ValueGradient.VALUE
    return replace(options, teacher_dropout=False, alignment=LatentAlignment.MATCHED, value_gradient=gradient)


def fixed_student(config: DistillDriveConfig) -> DistillDriveConfig:
    """The same network with a repaired generative module (Q3, Q4); published weights do not fit it any more."""
    motion = replace(config.motion, signed_latent=True, hidden_per_token=True)
    return replace(config, name=f"{config.name}_fixed", motion=motion)


def without_generative(config: DistillDriveConfig) -> DistillDriveConfig:
    """The same network without its generative module."""
    return replace(config, name=f"{config.name}_plain", motion=replace(config.motion, generative=False))
