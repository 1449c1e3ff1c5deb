"""Weight files of the ego-status network: safetensors, with the scenes it was trained on and the one it was not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save

from distilldrive_ros.models.ego_mlp.network import EgoMlp
from distilldrive_ros.models.weight_files import check_entries, examples, file_digest, read_state_dict
from distilldrive_ros.scene.errors import CheckpointError

SUFFIX = ".safetensors"


def serialised(network: EgoMlp, trained_on: Sequence[str]) -> bytes:
    """Content of a weight file; `trained_on`: names of scenes."""
    # One entry only: the order of several differs from run to run.
    return save(network.state_dict(), {"trained_on": ",".join(trained_on)})


def load_ego_mlp(path: Path) -> tuple[EgoMlp, str]:
    """The network and the digest of its file.

    Raises:
        CheckpointError: the file is missing, damaged, or of another network.
    """
    entries = read_state_dict(path)
    network = EgoMlp()
    expected = network.state_dict()
    wrong = sorted(entries.keys() ^ expected.keys())
    if wrong:
        raise CheckpointError(
            f"{path} is not of ego_mlp: {len(wrong)} entries differ{examples(wrong)}; make it with "
            "`distilldrive crossvalidate`"
        )
    check_entries(path, entries, expected)
    network.load_state_dict(entries)
    return network.eval(), file_digest(path)


def fold_path(folder: Path, scene: str) -> Path:
    """Where a folder of cross-validation keeps the weights that have not seen a scene."""
    return folder / f"without-{scene}{SUFFIX}"


def fold_file(folder: Path, scene: str) -> Path:
    """Weights that have not seen a scene, of a folder that `distilldrive crossvalidate` made.

    Raises:
        CheckpointError: there are none.
    """
    path = fold_path(folder, scene)
    if not path.is_file():
        raise CheckpointError(
            f"{folder} holds no weights that were trained without {scene} (no {path.name}); run "
            "`distilldrive crossvalidate` with that scene's bag"
        )
    return path
