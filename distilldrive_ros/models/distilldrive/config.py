"""Dimensions of the DistillDrive student network (spec section 14) and the presets that ship.

Everything that has a size is in here; the network modules contain no numbers of their own. `student()` is the
official network, `student_tiny()` the same code with small numbers, for tests and for machines without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from distilldrive_ros.models.config_checks import require_consistent
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.scene.objects import CLASS_NAMES

NUSCENES_CAMERAS = (
    "CAM_FRONT",
    "CAM_FRONT_RIGHT",
    "CAM_FRONT_LEFT",
    "CAM_BACK",
    "CAM_BACK_LEFT",
    "CAM_BACK_RIGHT",
)
"""Camera order of the official network (spec 2.2)."""

BACKBONES = ("resnet18", "resnet34", "resnet50")

NUM_MAP_CLASSES = 3
"""Crossing, divider, boundary: the first three `scene.vector_map.PolylineKind`."""

NUM_COMMANDS = 3
"""Right, left, straight: the first three `scene.command.Command`."""

BOX_SIZE = 11
"""Undecoded box: x, y, z, log l, log w, log h, sin yaw, cos yaw, vx, vy, vz."""

STATUS_SIZE = 10
"""Ego status: acceleration xyz, rotation rate xyz, velocity xyz, steering angle."""

STATUS_FORWARD_SPEED = 6
"""Index of the forward speed in the ego status."""

PUBLISHED_FORM = (False, False, True, False)
"""`MotionConfig.form` of the published network."""


def _check_range(owner: str, name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigurationError(
            f"{owner}.{name} is {value!r}, outside [{low}, {high}]; set it inside this range or start from a preset "
            f"({', '.join(sorted(PRESETS))})"
        )


@dataclass(frozen=True)
class DetectionConfig:
    """Detection head: `num_anchors` box queries, of which `num_temporal` live on in the bank."""

    num_anchors: int = 900
    num_temporal: int = 600
    num_output: int = 300
    num_decoders: int = 6
    num_learnable_points: int = 6
    confidence_decay: float = 0.6

    def __post_init__(self) -> None:
        _check_range("detection", "num_anchors", self.num_anchors, 2, 10_000)
        _check_range("detection", "num_temporal", self.num_temporal, 1, self.num_anchors - 1)
        _check_range("detection", "num_output", self.num_output, 1, self.num_anchors)
        _check_range("detection", "num_decoders", self.num_decoders, 1, 24)
        _check_range("detection", "num_learnable_points", self.num_learnable_points, 1, 64)
        _check_range("detection", "confidence_decay", self.confidence_decay, 0.0, 1.0)

    @property
    def num_classes(self) -> int:
        return len(CLASS_NAMES)


@dataclass(frozen=True)
class MapConfig:
    """Map head: `num_anchors` polylines of `num_points` points, of which `num_temporal` live on in the bank."""

    num_anchors: int = 100
    num_points: int = 20
    num_temporal: int = 33
    num_output: int = 100
    num_decoders: int = 6
    num_learnable_points: int = 3
    confidence_decay: float = 0.6
    heights: tuple[float, ...] = (0.0, 0.5, -0.5, 1.0, -1.0)
    ground_height: float = -1.84023
    extent_x: float = 15.0
    extent_y: float = 30.0

    def __post_init__(self) -> None:
        _check_range("map", "num_anchors", self.num_anchors, 2, 10_000)
        _check_range("map", "num_points", self.num_points, 2, 200)
        _check_range("map", "num_temporal", self.num_temporal, 1, self.num_anchors - 1)
        _check_range("map", "num_output", self.num_output, 1, self.num_anchors * NUM_MAP_CLASSES)
        _check_range("map", "num_decoders", self.num_decoders, 1, 24)
        _check_range("map", "num_learnable_points", self.num_learnable_points, 1, 64)
        _check_range("map", "confidence_decay", self.confidence_decay, 0.0, 1.0)
        _check_range("map", "len(heights)", len(self.heights), 1, 32)
        _check_range("map", "extent_x", self.extent_x, 1.0, 1000.0)
        _check_range("map", "extent_y", self.extent_y, 1.0, 1000.0)

    @property
    def num_classes(self) -> int:
        return NUM_MAP_CLASSES


@dataclass(frozen=True)
class MotionConfig:
    """Motion and planning head, generative module included (spec sections 6 and 8.1).

    The last four say how the head is put together: as published by default, for the published weights need it so.
    `signed_latent` lets mean and log sigma be negative (quirk Q3), `hidden_per_token` keeps tokens and streams apart
    (quirk Q4), `generative` False leaves the module out. `measured_speed`, ours: the ego's box carries the speed
    over the last step of the vehicle's pose, not the one predicted a frame ago. None changes a name or shape of the
    state dict.
    """

    num_decoders: int = 3
    num_agent_keys: int = 50
    num_map_keys: int = 10
    agent_modes: int = 6
    agent_steps: int = 12
    ego_modes: int = 6
    ego_steps: int = 6
    step_seconds: float = 0.5
    queue_length: int = 4
    tracking_threshold: float = 0.2
    latent_dim: int = 32
    gru_layers: int = 4
    log_sigma_limit: float = 5.0
    signed_latent: bool = False
    hidden_per_token: bool = False
    generative: bool = True
    measured_speed: bool = False

    def __post_init__(self) -> None:
        _check_range("motion", "num_decoders", self.num_decoders, 1, 24)
        _check_range("motion", "num_agent_keys", self.num_agent_keys, 1, 10_000)
        _check_range("motion", "num_map_keys", self.num_map_keys, 1, 10_000)
        _check_range("motion", "agent_modes", self.agent_modes, 1, 64)
        _check_range("motion", "agent_steps", self.agent_steps, self.ego_steps, 100)
        _check_range("motion", "ego_modes", self.ego_modes, 1, 64)
        _check_range("motion", "ego_steps", self.ego_steps, 2, 100)
        _check_range("motion", "step_seconds", self.step_seconds, 0.01, 5.0)
        _check_range("motion", "queue_length", self.queue_length, 1, 32)
        _check_range("motion", "tracking_threshold", self.tracking_threshold, 0.0, 1.0)
        _check_range("motion", "latent_dim", self.latent_dim, 1, 1024)
        _check_range("motion", "gru_layers", self.gru_layers, 1, 16)
        _check_range("motion", "log_sigma_limit", self.log_sigma_limit, 0.0, 20.0)

    @property
    def form(self) -> tuple[bool, bool, bool, bool]:
        """The last four, as a checkpoint keeps them."""
        return self.signed_latent, self.hidden_per_token, self.generative, self.measured_speed

    @property
    def num_ego_tokens(self) -> int:
        """Ego queries over all commands, command-major (index = modes x command + mode)."""
        return NUM_COMMANDS * self.ego_modes


@dataclass(frozen=True)
class DistillDriveConfig:
    """Complete description of one student network.

    Raises ConfigurationError from the constructor when a value is out of range or values contradict each other.
    """

    name: str = "student"
    image_width: int = 704
    image_height: int = 256
    cameras: tuple[str, ...] = NUSCENES_CAMERAS
    backbone: str = "resnet50"
    backbone_width: int = 64
    embed_dim: int = 256
    num_heads: int = 8
    num_groups: int = 8
    num_levels: int = 4
    max_time_gap: float = 2.0
    default_time_interval: float = 0.5
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    map: MapConfig = field(default_factory=MapConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)

    def __post_init__(self) -> None:
        _check_range(self.name, "image_width", self.image_width, 32, 8192)
        _check_range(self.name, "image_height", self.image_height, 32, 8192)
        _check_range(self.name, "len(cameras)", len(self.cameras), 1, 32)
        _check_range(self.name, "backbone_width", self.backbone_width, 4, 512)
        _check_range(self.name, "embed_dim", self.embed_dim, 16, 4096)
        _check_range(self.name, "num_heads", self.num_heads, 1, self.embed_dim)
        _check_range(self.name, "num_groups", self.num_groups, 1, self.embed_dim)
        _check_range(self.name, "num_levels", self.num_levels, 4, 4)
        _check_range(self.name, "max_time_gap", self.max_time_gap, 0.0, 60.0)
        _check_range(self.name, "default_time_interval", self.default_time_interval, 0.01, 5.0)
        self._check_consistency()

    def _check_consistency(self) -> None:
        problems = {
            "image_width and image_height must be multiples of 32": self.image_width % 32 or self.image_height % 32,
            "cameras must be distinct": len(set(self.cameras)) != len(self.cameras),
            "backbone must be resnet18, resnet34 or resnet50": self.backbone not in BACKBONES,
            "embed_dim must be a multiple of 16": self.embed_dim % 16,
            "embed_dim must be a multiple of num_heads": self.embed_dim % self.num_heads,
            "embed_dim must be a multiple of num_groups": self.embed_dim % self.num_groups,
            "embed_dim must be a multiple of motion.gru_layers": self.embed_dim % self.motion.gru_layers,
            "motion.num_agent_keys must not exceed detection.num_anchors": (
                self.motion.num_agent_keys > self.detection.num_anchors
            ),
            "motion.num_map_keys must not exceed map.num_anchors": self.motion.num_map_keys > self.map.num_anchors,
        }
        require_consistent(self.name, problems, PRESETS)

    @property
    def num_cameras(self) -> int:
        return len(self.cameras)


def student() -> DistillDriveConfig:
    """Official student: ResNet-50, 704x256, 900 boxes, 100 polylines, 18 ego modes."""
    return DistillDriveConfig()


def student_tiny() -> DistillDriveConfig:
    """Small student for CPUs and tests: thin ResNet-18, 352x128, 96 boxes, 24 polylines, two decoders."""
    return DistillDriveConfig(
        name="student_tiny",
        image_width=352,
        image_height=128,
        backbone="resnet18",
        backbone_width=32,
        embed_dim=128,
        detection=DetectionConfig(num_anchors=96, num_temporal=64, num_output=48, num_decoders=2),
        map=MapConfig(num_anchors=24, num_temporal=8, num_output=24, num_decoders=2, num_learnable_points=1),
        motion=MotionConfig(num_decoders=1, num_agent_keys=24, num_map_keys=6),
    )


PRESETS: dict[str, Callable[[], DistillDriveConfig]] = {"student": student, "student_tiny": student_tiny}


def preset(name: str) -> DistillDriveConfig:
    """Preset by name; raises ConfigurationError with the list of names for an unknown one."""
    if name not in PRESETS:
        raise ConfigurationError(f"unknown model preset {name!r}; choose one of {', '.join(sorted(PRESETS))}")
    return PRESETS[name]()
