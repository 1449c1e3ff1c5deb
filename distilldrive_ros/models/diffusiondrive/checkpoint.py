"""Weight files with the official state-dict names (spec 10), from all three training stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from distilldrive_ros.models.diffusiondrive.config import Variant
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.weight_files import check_entries, examples, file_digest, read_state_dict
from distilldrive_ros.scene.errors import CheckpointError

_PREFIXES = ("agent.", "module.", "_transfuser_model.")
_BATCH_COUNTER = ".num_batches_tracked"
_SECOND_LAYER = "_trajectory_head.diff_decoder.layers.1."
_SCORER = "_trajectory_head.scorer_decoder."
_HEAD = "_trajectory_head."


@dataclass(frozen=True)
class CheckpointReport:
    """What a weight file gave to the network.

    `stage`: training stage of the file. `loaded`: entries taken. `untrained`: modules that keep their random weights,
    empty unless a partial load was asked for. `ignored`: modules of another stage that were left aside. `unexpected`:
    entries that no stage has. `digest`: first twelve hex digits of the file's SHA-256.
    """

    path: Path
    stage: Variant
    loaded: int
    untrained: tuple[str, ...]
    ignored: tuple[str, ...]
    unexpected: tuple[str, ...]
    digest: str

    @property
    def complete(self) -> bool:
        """Whether every module got weights that were trained for it."""
        return not self.untrained

    def summary(self) -> str:
        """One line for a log."""
        untrained = f", UNTRAINED: {', '.join(self.untrained)}" if self.untrained else ""
        ignored = f", left aside: {', '.join(self.ignored)}" if self.ignored else ""
        return (
            f"{self.path.name} ({self.digest}), stage {self.stage.value}: {self.loaded} entries loaded, "
            f"{len(self.unexpected)} unexpected{examples(self.unexpected)}{ignored}{untrained}"
        )


def load_checkpoint(network: DiffusionDriveNetwork, path: Path, partial: bool = False) -> CheckpointReport:
    """Fill `network` from a weight file; all or nothing.

    Lightning's prefix `agent._transfuser_model.` is stripped. A file of a later stage holds all that an earlier one
    needs. The other way round modules are missing, and v1's way-points are in other units than V2's (spec 4.2), so that
    its trajectory head counts as untrained in V2.

    Args:
        network: of the preset that is wanted.
        path: the file.
        partial: keep the network's present weights in modules that the file has no trained weights for.

    Raises:
        CheckpointError: the file is absent, damaged, holds more than tensors and plain data, contains NaN or infinity,
            does not fit the network, or leaves modules untrained and `partial` is False. The network is unchanged.
    """
    entries = {_stripped(key): value for key, value in read_state_dict(path).items()}
    expected = network.state_dict()
    stage = _stage(entries)
    usable = {key: value for key, value in entries.items() if key in expected}
    if not usable:
        raise CheckpointError(
            f"{path} is of another network (it holds{examples(sorted(entries))}); use a DiffusionDrive checkpoint"
        )
    missing = [key for key in expected if key not in entries and not key.endswith(_BATCH_COUNTER)]
    strange = [key for key in missing if not _of_other_stage(key)]
    if strange:
        raise CheckpointError(
            f"{path} does not fit this network: {len(strange)} of {len(expected)} entries are missing"
            f"{examples(strange)}; use a complete checkpoint and the preset it was trained with"
        )
    check_entries(path, usable, expected)
    untrained = _untrained_modules(missing, network.config.variant, stage)
    if untrained and not partial:
        raise CheckpointError(
            f"{path} is a checkpoint of stage {stage.value}; in {network.config.name} it leaves untrained: "
            f"{', '.join(untrained)}; use a checkpoint of stage {network.config.variant.value}, the model "
            f"{_MODEL_OF_STAGE[stage]}, or allow partial weights"
        )
    network.load_state_dict({**expected, **usable})
    left = sorted(key for key in entries if key not in expected)
    ignored = tuple(sorted({_module(key) for key in left if _of_other_stage(key)}))
    unexpected = tuple(key for key in left if not _of_other_stage(key))
    return CheckpointReport(path, stage, len(usable), untrained, ignored, unexpected, file_digest(path))


def trained_stage(path: Path) -> Variant:
    """The last training stage that a file has entries of. Raises CheckpointError where it cannot be read."""
    return _stage({_stripped(key): value for key, value in read_state_dict(path).items()})


_MODEL_OF_STAGE = {
    Variant.V1: "diffusiondrive_v1",
    Variant.POLICY: "diffusiondrive_rl",
    Variant.SELECTOR: "diffusiondrive",
}
_SELECTOR_PREFIXES = tuple(
    _HEAD + name
    for name in (
        "plan_anchor_scorer_encoder.", "scorer_decoder.", "fine_scorer_decoder.",
        *(f"{stage}{score}_head." for stage in ("", "fine_") for score in ("NC", "DAC", "EP", "C", "TTC")),
    )
)  # fmt: skip


def is_selector_entry(key: str) -> bool:
    """Whether a parameter of this name belongs to the mode selector."""
    return key.startswith(_SELECTOR_PREFIXES)


def _stripped(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _stage(entries: dict[str, Tensor]) -> Variant:
    if any(key.startswith(_SECOND_LAYER) for key in entries):
        return Variant.V1
    return Variant.SELECTOR if any(key.startswith(_SCORER) for key in entries) else Variant.POLICY


def _of_other_stage(key: str) -> bool:
    """Whether some stage has the entry and another one has not."""
    return key.startswith((_SECOND_LAYER, *_SELECTOR_PREFIXES))


def _untrained_modules(missing: list[str], wanted: Variant, given: Variant) -> tuple[str, ...]:
    modules = {_module(key) for key in missing}
    if (wanted is Variant.V1) != (given is Variant.V1):
        modules |= {_HEAD + "plan_anchor_encoder", _HEAD + "diff_decoder"}
    return tuple(sorted(modules))


def _module(key: str) -> str:
    """`_trajectory_head.scorer_decoder` of `_trajectory_head.scorer_decoder.layers.0.norm1.bias`."""
    return ".".join(key.split(".")[:2])
