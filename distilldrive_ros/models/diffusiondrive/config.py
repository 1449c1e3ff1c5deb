"""Dimensions of the DiffusionDrive networks (spec sections 1 to 5) and the presets that ship.

Everything that has a size is in here. `diffusiondrive*` are the official networks, `diffusiondrive_tiny` the same code
with small numbers, for tests and for machines without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from distilldrive_ros.models.config_checks import require_consistent
from distilldrive_ros.scene.errors import ConfigurationError

NAVSIM_CAMERAS = ("CAM_L0", "CAM_F0", "CAM_R0")
"""Cameras that the networks were trained with; used as they are where a set has them."""

NUSCENES_CAMERAS = ("CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT")
"""Cameras that stand in for them: left, front, right."""

STATUS_SIZE = 8
"""Ego status: command one-hot (left, straight, right, unknown), vx, vy, ax, ay (spec 2.3)."""

AGENT_SIZE = 5
"""Agent state: x, y, heading, length, width (spec 6)."""

NUM_BEV_CLASSES = 7
"""Background, road, walkway, centre line, static object, vehicle, pedestrian (spec 2.4)."""

POINT_CODE_SIZE = 64
"""Numbers of the sine embedding of one way-point, and of one heading (spec 4.4, 5.2)."""

CANVAS_WIDTH, CANVAS_HEIGHT = 1024, 256
"""Three front cameras side by side, as the official networks see them (spec 2.1)."""

TRUNK_STRIDE = 32
"""Input pixels per cell of the last trunk stage."""


class Variant(str, Enum):
    """Which of the three published networks: imitation (v1), reinforced policy, policy with mode selector."""

    V1 = "v1"
    POLICY = "rl"
    SELECTOR = "sel"


@dataclass(frozen=True)
class DiffusionDriveConfig:
    """Complete description of one network.

    Images are `image_width` x `image_height` RGB, three cameras side by side; the LiDAR map is `lidar_cells` squared
    and covers +-`lidar_range` m. `policy_groups` x `num_anchors` trajectories are denoised; the selector adds
    `num_copies` scaled copies of each and takes the best `num_selected` into its second stage.

    Raises ConfigurationError from the constructor when a value is out of range or values contradict each other.
    """

    name: str = "diffusiondrive"
    variant: Variant = Variant.SELECTOR
    image_width: int = 1024
    image_height: int = 256
    lidar_cells: int = 256
    lidar_range: float = 32.0
    backbone: str = "resnet34"
    backbone_width: int = 64
    fusion_heads: int = 4
    fusion_layers: int = 2
    bev_channels: int = 64
    embed_dim: int = 256
    num_heads: int = 8
    num_query_layers: int = 3
    num_agents: int = 30
    scorer_dim: int = 512
    scorer_heads: int = 16
    num_fine_layers: int = 3
    num_anchors: int = 20
    num_points: int = 8
    step_seconds: float = 0.5
    policy_groups: int = 10
    num_copies: int = 3
    num_selected: int = 32

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "lidar_cells": (64, 2048),
            "lidar_range": (1.0, 500.0), "backbone_width": (8, 512), "fusion_heads": (1, 64),
            "fusion_layers": (1, 16), "bev_channels": (8, 1024), "embed_dim": (16, 4096), "num_heads": (1, 64),
            "num_query_layers": (1, 16), "num_agents": (1, 1000), "scorer_dim": (16, 8192), "scorer_heads": (1, 64),
            "num_fine_layers": (1, 16), "num_anchors": (1, 1000), "num_points": (2, 64), "step_seconds": (0.01, 5.0),
            "policy_groups": (1, 1000), "num_copies": (0, 100), "num_selected": (1, 100_000),
        }  # fmt: skip
        for field_name, (low, high) in limits.items():
            value = getattr(self, field_name)
            if not low <= value <= high:
                raise ConfigurationError(
                    f"{self.name}.{field_name} is {value!r}, outside [{low}, {high}]; set it inside this range or "
                    f"start from a preset ({', '.join(PRESETS)})"
                )
        self._check_consistency()

    def _check_consistency(self) -> None:
        problems = {
            f"the image must be {CANVAS_WIDTH}x{CANVAS_HEIGHT} pixels, or that divided by 2 or 4": (
                (self.image_width, self.image_height)
                not in [(CANVAS_WIDTH // d, CANVAS_HEIGHT // d) for d in (1, 2, 4)]
            ),
            "lidar_cells must be a multiple of 32": self.lidar_cells % TRUNK_STRIDE,
            "backbone must be resnet18 or resnet34": self.backbone not in ("resnet18", "resnet34"),
            "backbone_width must be a multiple of fusion_heads": self.backbone_width % self.fusion_heads,
            "embed_dim must be even and a multiple of num_heads": self.embed_dim % 2 or self.embed_dim % self.num_heads,
            "scorer_dim must be a multiple of scorer_heads": self.scorer_dim % self.scorer_heads,
            "num_selected must not exceed the number of candidates": (
                self.variant is Variant.SELECTOR and self.num_selected > self.num_candidates
            ),
        }
        require_consistent(self.name, problems, PRESETS)

    @property
    def num_decoder_layers(self) -> int:
        """Layers of one denoising pass: v1 refines twice."""
        return 2 if self.variant is Variant.V1 else 1

    @property
    def num_samples(self) -> int:
        """Trajectories that are denoised, group-major."""
        return self.policy_groups * self.num_anchors

    @property
    def num_candidates(self) -> int:
        """Trajectories before selection."""
        return self.num_samples * (1 + self.num_copies) if self.variant is Variant.SELECTOR else self.num_samples

    @property
    def image_grid(self) -> tuple[int, int]:
        """Rows and columns of the fused image tokens."""
        return self.image_height // TRUNK_STRIDE, self.image_width // TRUNK_STRIDE

    @property
    def lidar_grid(self) -> int:
        """Rows (and columns) of the fused LiDAR tokens."""
        return self.lidar_cells // TRUNK_STRIDE

    @property
    def bev_grid(self) -> int:
        """Rows (and columns) of the bird's-eye feature map that trajectories look at."""
        return self.lidar_cells // 4


def diffusiondrive() -> DiffusionDriveConfig:
    """DiffusionDriveV2 with mode selector: 200 samples, 800 candidates, 93 M parameters."""
    return DiffusionDriveConfig()


def diffusiondrive_rl() -> DiffusionDriveConfig:
    """DiffusionDriveV2 policy alone: 80 samples, 59 M parameters."""
    return DiffusionDriveConfig(name="diffusiondrive_rl", variant=Variant.POLICY, policy_groups=4)


def diffusiondrive_v1() -> DiffusionDriveConfig:
    """DiffusionDrive (imitation): 20 modes with a classifier, two decoder layers, 61 M parameters."""
    return DiffusionDriveConfig(name="diffusiondrive_v1", variant=Variant.V1, policy_groups=1)


def diffusiondrive_tiny() -> DiffusionDriveConfig:
    """Small policy with selector for CPUs and tests: half the resolution, thin ResNet-18, 160 candidates."""
    return replace(
        diffusiondrive(),
        name="diffusiondrive_tiny",
        image_width=512,
        image_height=128,
        lidar_cells=128,
        backbone="resnet18",
        backbone_width=32,
        fusion_layers=1,
        bev_channels=32,
        embed_dim=128,
        num_query_layers=2,
        scorer_dim=128,
        scorer_heads=8,
        num_fine_layers=2,
        policy_groups=2,
        num_selected=16,
    )


PRESETS: dict[str, Callable[[], DiffusionDriveConfig]] = {
    "diffusiondrive": diffusiondrive,
    "diffusiondrive_rl": diffusiondrive_rl,
    "diffusiondrive_v1": diffusiondrive_v1,
    "diffusiondrive_tiny": diffusiondrive_tiny,
}


def preset(name: str) -> DiffusionDriveConfig:
    """Preset by name; raises ConfigurationError with the list of names for an unknown one."""
    if name not in PRESETS:
        raise ConfigurationError(f"unknown model preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]()
