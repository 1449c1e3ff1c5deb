"""Dimensions and behaviour of the teacher network (spec section 7), and the presets that ship.

`teacher` is the published network, its defects included, for the published weights need them; `teacher_fixed` is the
same network without them, to be trained anew. The `tiny` ones fit `student_tiny`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from distilldrive_ros.models.distilldrive.config import DistillDriveConfig, MotionConfig, student_tiny
from distilldrive_ros.scene.errors import ConfigurationError

PUBLISHED_FORM = (False, False, False, False)
"""`TeacherConfig.form` of the published network."""


class Flavour(str, Enum):
    """What the teacher's plan classification learns (spec 8.4).

    LABEL: the best mode, hard. DISTRIBUTION: a soft target over the modes; status per mode, and a value network.
    """

    LABEL = "label"
    DISTRIBUTION = "distribution"


@dataclass(frozen=True)
class TeacherConfig:
    """Complete description of one teacher network.

    Of `motion` it uses the modes, steps, decoders, the queue and `measured_speed`; modes and steps must be those of the
    student it teaches. `see_map` lets it attend to the polylines (quirk Q1: as published it sees none), `log_sizes`
    encodes agents' sizes as the ego's (Q8), `unit_directions` makes segment directions unit vectors (Q7).

    Raises ConfigurationError from the constructor when a value is out of range or values contradict each other.
    """

    name: str = "teacher"
    flavour: Flavour = Flavour.LABEL
    embed_dim: int = 256
    num_heads: int = 8
    encoder_layers: int = 4
    encoder_hidden: int = 1024
    max_agents: int = 150
    max_polylines: int = 50
    map_points: int = 20
    max_time_gap: float = 2.0
    motion: MotionConfig = field(default_factory=lambda: MotionConfig(num_decoders=2))
    see_map: bool = False
    log_sizes: bool = False
    unit_directions: bool = False

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "embed_dim": (16, 4096),
            "num_heads": (1, self.embed_dim),
            "encoder_layers": (1, 24),
            "encoder_hidden": (1, 16_384),
            "max_agents": (1, 10_000),
            "max_polylines": (1, 10_000),
            "map_points": (2, 200),
            "max_time_gap": (0.0, 60.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigurationError(
                    f"{self.name}.{name} is {value!r}, outside [{low}, {high}]; set it inside this range or start "
                    f"from a preset ({', '.join(sorted(PRESETS))})"
                )
        if self.embed_dim % 16 or self.embed_dim % self.num_heads:
            raise ConfigurationError(
                f"{self.name}.embed_dim is {self.embed_dim}; it must be a multiple of 16 and of num_heads "
                f"({self.num_heads})"
            )

    @property
    def form(self) -> tuple[bool, bool, bool, bool]:
        """The last three and `motion.measured_speed`, as a checkpoint keeps them."""
        return self.see_map, self.log_sizes, self.unit_directions, self.motion.measured_speed

    def check_student(self, student: DistillDriveConfig) -> None:
        """Raises ConfigurationError unless the teacher's plan queries can be compared with this student's."""
        mine, theirs = self.motion, student.motion
        pairs = {
            "embed_dim": (self.embed_dim, student.embed_dim),
            "motion.ego_modes": (mine.ego_modes, theirs.ego_modes),
            "motion.ego_steps": (mine.ego_steps, theirs.ego_steps),
            "map.num_points": (self.map_points, student.map.num_points),
        }
        different = [f"{name} ({a} and {b})" for name, (a, b) in pairs.items() if a != b]
        if different:
            raise ConfigurationError(
                f"teacher {self.name!r} cannot teach {student.name!r}: they differ in {', '.join(different)}; choose "
                f"presets of the same size"
            )


def teacher() -> TeacherConfig:
    """Published teacher, label flavour."""
    return TeacherConfig()


def fixed(config: TeacherConfig) -> TeacherConfig:
    """The same network without the defects that need new weights (Q1, Q7, Q8)."""
    return replace(config, name=f"{config.name}_fixed", see_map=True, log_sizes=True, unit_directions=True)


def teacher_tiny() -> TeacherConfig:
    """Small teacher that fits `student_tiny`."""
    small = student_tiny()
    return TeacherConfig(
        name="teacher_tiny",
        embed_dim=small.embed_dim,
        num_heads=small.num_heads,
        encoder_layers=2,
        encoder_hidden=2 * small.embed_dim,
        motion=MotionConfig(num_decoders=1),
    )


PRESETS: dict[str, Callable[[], TeacherConfig]] = {
    "teacher": teacher,
    "teacher_fixed": lambda: fixed(teacher()),
    "teacher_tiny": teacher_tiny,
    "teacher_tiny_fixed": lambda: fixed(teacher_tiny()),
}


def preset(name: str) -> TeacherConfig:
    """Preset by name; raises ConfigurationError with the list of names for an unknown one."""
    if name not in PRESETS:
        raise ConfigurationError(f"unknown teacher preset {name!r}; choose one of {', '.join(sorted(PRESETS))}")
    return PRESETS[name]()
