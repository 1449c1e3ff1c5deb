"""Weight files with the official state-dict names (spec 12): `.pth` (never unpickled) and `.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.config import PUBLISHED_FORM, DistillDriveConfig
from distilldrive_ros.models.distilldrive.training_only import TRAINING_ONLY_PREFIXES
from distilldrive_ros.models.network_form import check_forms, stored_form
from distilldrive_ros.models.weight_files import check_entries, examples, file_digest, read_state_dict
from distilldrive_ros.scene.errors import CheckpointError

TEACHER_PREFIX = "head.distillation_head."
"""The frozen teacher inside a stage-2 checkpoint; inference does not have it."""

_PARALLEL_PREFIX = "module."
_BATCH_COUNTER = ".num_batches_tracked"
_MOTION_PART = "motion_plan_head."


@dataclass(frozen=True)
class CheckpointReport:
    """What a weight file gave to the network.

    `loaded`: entries taken. `missing_training_only`: entries of the network that the file lacks and inference does
    not read. `ignored_teacher`: number of teacher entries left aside. `unexpected`: other entries left aside.
    `digest`: first twelve hex digits of the file's SHA-256.
    """

    path: Path
    loaded: int
    missing_training_only: tuple[str, ...]
    ignored_teacher: int
    unexpected: tuple[str, ...]
    digest: str

    @property
    def complete(self) -> bool:
        """A file that lacks what inference reads is refused."""
        return True

    def summary(self) -> str:
        """One line for a log."""
        return (
            f"{self.path.name} ({self.digest}): {self.loaded} entries loaded, {self.ignored_teacher} teacher entries "
            f"ignored, {len(self.unexpected)} unexpected{examples(self.unexpected)}, "
            f"{len(self.missing_training_only)} training-only entries absent"
        )


def trained_form(config: DistillDriveConfig, entries: Mapping[str, Tensor]) -> DistillDriveConfig:
    """The configuration with its motion head put together as in the network that `entries` are of."""
    signed, per_token, generative, measured = stored_form(entries, _MOTION_PART, PUBLISHED_FORM)
    motion = replace(
        config.motion,
        signed_latent=signed,
        hidden_per_token=per_token,
        generative=generative,
        measured_speed=measured,
    )
    return replace(config, motion=motion)


def load_checkpoint(network: nn.Module, path: Path, content: Mapping[str, Tensor] | None = None) -> CheckpointReport:
    """Fill `network` from a weight file; all or nothing. `content`: what is in it, where that was read before.

    A `.pth` may be a bare state dict or a dict with a `state_dict` entry. Teacher entries and entries of an unknown
    name are left aside and counted.

    Raises:
        CheckpointError: the file is absent, damaged, holds more than tensors and plain data, contains NaN or
            infinity, or does not fit the network. The network is unchanged.
    """
    entries = {key.removeprefix(_PARALLEL_PREFIX): value for key, value in (content or read_state_dict(path)).items()}
    expected = network.state_dict()
    check_forms(str(path), entries, expected)
    teacher = [key for key in entries if key.startswith(TEACHER_PREFIX)]
    unexpected = sorted(key for key in entries if key not in expected and not key.startswith(TEACHER_PREFIX))
    missing = [key for key in expected if key not in entries]
    needed = [key for key in missing if not _is_optional(key)]
    usable = {key: value for key, value in entries.items() if key in expected}
    if needed:
        raise CheckpointError(
            f"{path} does not fit this network: {len(needed)} of {len(expected)} entries are missing"
            f"{examples(needed)}, {len(unexpected)} are of another network{examples(unexpected)}; use a stage-2 "
            f"DistillDrive checkpoint and the model preset it was trained with"
        )
    check_entries(path, usable, expected)
    network.load_state_dict(usable, strict=False)
    return CheckpointReport(path, len(usable), tuple(missing), len(teacher), tuple(unexpected), file_digest(path))


def _is_optional(key: str) -> bool:
    return key.startswith(TRAINING_ONLY_PREFIXES) or key.endswith(_BATCH_COUNTER)
