"""Official state-dict names of stages and back, strictly (spec section 12)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from distilldrive_ros.models.network_form import check_forms
from distilldrive_ros.models.weight_files import examples
from distilldrive_ros.scene.errors import CheckpointError


def prefixed(module: nn.Module, prefix: str = "", without: str | None = None) -> dict[str, Tensor]:
    """State dict under names with a prefix; entries whose own name starts with `without` are left out."""
    entries = module.state_dict()
    return {prefix + key: value for key, value in entries.items() if without is None or not key.startswith(without)}


def load_exactly(module: nn.Module, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], prefix: str) -> None:
    """Fill the entries `expected` of a module from those of the same name in `weights`.

    `weights` may hold more; `prefix` is what their names begin with, the module's own do not.

    Raises CheckpointError: an entry is missing or of another shape, or the weights are of another form of the network.
    The module is unchanged.
    """
    check_forms("the checkpoint", weights, expected)
    missing = [key for key in expected if key not in weights]
    wrong = [key for key in expected if key in weights and weights[key].shape != expected[key].shape]
    if missing or wrong:
        raise CheckpointError(
            f"the weights do not fit this stage: {len(missing)} entries are missing{examples(missing)}, {len(wrong)} "
            f"have another shape{examples(wrong)}; use a checkpoint of the same stage and configuration"
        )
    module.load_state_dict({key.removeprefix(prefix): weights[key] for key in expected}, strict=False)
