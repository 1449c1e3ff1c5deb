"""What a perception that is not trained any more sees of whole scenes: computed once, kept on disk, read by frame."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from distilldrive_ros.models.distilldrive.engine import StudentEngine
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import Perceived, PerceptionOutputs
from distilldrive_ros.models.distilldrive.state import PerceptionState
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.whole_files import write_whole_file

_DIGITS = 12
# Features need no more digits than this to be attended to; places and scores keep theirs.
_FEATURE = torch.float16


def perception_fingerprint(network: StudentNetwork, without: str) -> str:
    """Changes with dimensions and weights of the network, but not with those of its motion and planning.

    Names of weights to leave out begin with `without`.
    """
    config = network.config
    sizes = [(item.name, getattr(config, item.name)) for item in fields(config) if item.name not in ("name", "motion")]
    digest = hashlib.sha256(repr(sizes).encode())
    for name, tensor in sorted(network.state_dict().items()):
        if not name.startswith(without):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]


class PerceivedScenes:
    """A folder with one file per scene, of one perception."""

    def __init__(self, cache: Path, fingerprint: str) -> None:
        """`fingerprint`: of the perception, see `perception_fingerprint`."""
        self._folder = cache / f"perceived-{fingerprint}"

    def has(self, scene: SceneTargets) -> bool:
        """Whether the scene is there whole."""
        try:
            with safe_open(self._path(scene), framework="pt") as file:
                return len(file.get_slice("seen")[:]) == scene.key_frames
        except (OSError, SafetensorError):
            return False

    def frame(self, scene: SceneTargets, key_frame: int) -> Perceived:
        """What was seen in a key frame, batch of one.

        Raises:
            SensorDataError: its pictures could not be read when the scene was looked at, or the file is damaged.
        """
        path = self._path(scene)
        try:
            with safe_open(path, framework="pt") as file:
                if not bool(file.get_slice("seen")[key_frame : key_frame + 1]):
                    raise SensorDataError("its pictures cannot be read")
                entries = {
                    name: file.get_slice(name)[key_frame : key_frame + 1]
                    for name in sorted(set(file.keys()) - {"seen"})
                }
        except (OSError, SafetensorError) as error:
            raise SensorDataError(f"{path} cannot be read ({error}); delete it, it is made again") from error
        return _unpacked(entries)

    def look(
        self, scene: SceneTargets, frames: Iterable[TrainingBatch | None], engine: StudentEngine, device: torch.device
    ) -> None:
        """Run the perception over a scene from its first key frame, and write its file, whole or not at all.

        Args:
            scene: its targets.
            frames: its key frames as batches of one with cameras, None where pictures cannot be read; the memory goes
                on with the next.
            engine: in evaluation mode, on the device.
            device: where to compute.

        Raises:
            StorageError: the disk does not take the file.
        """
        state: PerceptionState | None = None
        rows: list[Mapping[str, Tensor] | None] = []
        with torch.inference_mode():
            for batch in frames:
                if batch is None:
                    rows.append(None)
                    continue
                result = engine.perceive(state, batch.to(device).student_inputs())
                state = result.state
                rows.append(_packed(result.perceived))
        whole = [row for row in rows if row is not None]
        entries = {"seen": torch.tensor([row is not None for row in rows])}
        for name in whole[0] if whole else ():
            blank = torch.zeros_like(whole[0][name])
            entries[name] = torch.cat([blank if row is None else row[name] for row in rows])
        content = save(entries)
        write_whole_file(self._path(scene), lambda stream: stream.write(content))

    def _path(self, scene: SceneTargets) -> Path:
        """The name changes with the pictures that the scene refers to, and where they were taken."""
        digest = hashlib.sha256("\n".join([*map(str, scene.tokens), *map(str, scene.images.ravel())]).encode())
        digest.update(scene.world_from_network.tobytes())
        return self._folder / f"{scene.name}-{digest.hexdigest()[:_DIGITS]}.safetensors"


def _packed(perceived: Perceived) -> dict[str, Tensor]:
    entries = {"ids": perceived.ids, "confidence": perceived.confidence}
    for name, outputs in (("detection", perceived.detection), ("map", perceived.map)):
        entries[f"{name}.logits"] = outputs.logits[-1]
        entries[f"{name}.anchors"] = outputs.anchors[-1]
        entries[f"{name}.feature"] = outputs.feature.to(_FEATURE)
        entries[f"{name}.embed"] = outputs.embed.to(_FEATURE)
        quality = outputs.quality[-1]
        if quality is not None:
            entries[f"{name}.quality"] = quality
    return {name: tensor.cpu().contiguous() for name, tensor in entries.items()}


def _unpacked(entries: Mapping[str, Tensor]) -> Perceived:
    detection, polylines = (
        PerceptionOutputs(
            (entries[f"{name}.logits"],),
            (entries[f"{name}.anchors"],),
            (entries.get(f"{name}.quality"),),
            entries[f"{name}.feature"].float(),
            entries[f"{name}.embed"].float(),
        )
        for name in ("detection", "map")
    )
    return Perceived(detection, entries["ids"], entries["confidence"], polylines)
