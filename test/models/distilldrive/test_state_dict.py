"""Official state-dict names and shapes: the fingerprints of the specification."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.config import student
from distilldrive_ros.models.distilldrive.network import StudentNetwork

BLOCKS = {
    "": (1374, 86_608_044, "33c1fccc7b985ab4"),
    "img_backbone.": (318, 23_561_205, "2cc91f2aaec57def"),
    "img_neck.": (16, 3_344_384, "017e2ac77ba442eb"),
    "depth_branch.": (6, 771, "8bd1c26e35daa40c"),
    "head.det_head.": (479, 21_303_045, "e548c72556647e2a"),
    "head.map_head.": (360, 27_519_650, "0d43f339caf27811"),
    "head.motion_plan_head.": (195, 10_878_989, "e3df38501695dee3"),
}
STAGE_1 = (1179, 75_729_055, "23b01efd9b74ced5")


@pytest.fixture(scope="module")
def entries() -> dict[str, Tensor]:
    with torch.device("meta"):
        return StudentNetwork(student()).state_dict()


def fingerprint(entries: dict[str, Tensor]) -> tuple[int, int, str]:
    """Number of keys, number of elements, and a hash over the sorted names and shapes."""
    lines = (f"{key} {'x'.join(map(str, entries[key].shape)) or 'scalar'}\n" for key in sorted(entries))
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
    return len(entries), sum(value.numel() for value in entries.values()), digest


@pytest.mark.parametrize(("prefix", "expected"), BLOCKS.items())
def test_fingerprint(entries: dict[str, Tensor], prefix: str, expected: tuple[int, int, str]) -> None:
    assert fingerprint({key: value for key, value in entries.items() if key.startswith(prefix)}) == expected


def test_fingerprint_of_a_perception_checkpoint(entries: dict[str, Tensor]) -> None:
    stage_1 = {key: value for key, value in entries.items() if not key.startswith("head.motion_plan_head.")}
    assert fingerprint(stage_1) == STAGE_1
