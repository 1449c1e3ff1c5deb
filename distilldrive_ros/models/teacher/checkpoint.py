"""Teacher weights under their official names: stage-0 checkpoints, and the teacher inside stage-2 ones (spec 12.6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.network_form import check_forms
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.weight_files import check_entries, examples, file_digest, read_state_dict
from distilldrive_ros.scene.errors import CheckpointError

_EGO_ANCHOR = "instance_queue.ego_anchor"
_VALUE_NETWORK = "dqn_model."
_BATCH_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class TeacherReport:
    """What a weight file gave to the teacher.

    `loaded`: entries taken. `other_flavour`: entries of the file or the network that only the other flavour has.
    `ignored`: number of entries outside the teacher. `digest`: first twelve hex digits of the file's SHA-256.
    """

    path: Path
    loaded: int
    other_flavour: tuple[str, ...]
    ignored: int
    digest: str

    def summary(self) -> str:
        """One line for a log."""
        return (
            f"{self.path.name} ({self.digest}): {self.loaded} teacher entries loaded, {len(self.other_flavour)} of the "
            f"other flavour left aside{examples(self.other_flavour)}, {self.ignored} entries outside the teacher"
        )


def load_teacher(network: TeacherNetwork, path: Path) -> TeacherReport:
    """Fill the teacher from a stage-0 or stage-2 weight file; all or nothing.

    A file of the other flavour is taken, as published (quirk Q9): the ego's constant box keeps its value, the value
    network of the distribution flavour is left aside or stays as it is.

    Raises:
        CheckpointError: the file is absent, damaged, or holds no teacher of this size. The network is unchanged.
    """
    content = read_state_dict(path)
    entries = {key.removeprefix(TEACHER_PREFIX): value for key, value in content.items() if TEACHER_PREFIX in key}
    expected = network.state_dict()
    check_forms(str(path), entries, expected)
    missing = [key for key in expected if key not in entries and not key.endswith(_BATCH_COUNTER)]
    unknown = [key for key in entries if key not in expected]
    flavour = tuple(key for key in missing + unknown if key == _EGO_ANCHOR or key.startswith(_VALUE_NETWORK))
    wrong = [key for key in missing + unknown if key not in flavour]
    if wrong:
        raise CheckpointError(
            f"{path} holds no teacher of this size: {len(wrong)} of {len(expected)} entries are missing or of another "
            f"network{examples(wrong)}; use a stage-0 or stage-2 checkpoint and the preset it was trained with"
        )
    usable = {key: value for key, value in entries.items() if key in expected}
    check_entries(path, usable, expected)
    network.load_state_dict(usable, strict=False)
    return TeacherReport(path, len(usable), flavour, len(content) - len(entries), file_digest(path))
