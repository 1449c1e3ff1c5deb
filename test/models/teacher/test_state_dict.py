"""Official names and shapes of the teacher, both flavours: the fingerprints of the specification."""

from __future__ import annotations

import hashlib

import pytest
import torch

from distilldrive_ros.models.distilldrive.checkpoint import TEACHER_PREFIX
from distilldrive_ros.models.teacher.config import Flavour, TeacherConfig
from distilldrive_ros.models.teacher.network import TeacherNetwork


@pytest.mark.parametrize(
    ("flavour", "expected"),
    [
        (Flavour.LABEL, (260, 11_440_823, "738bd2e5862b0907")),
        (Flavour.DISTRIBUTION, (272, 11_442_698, "3670512026fdb7c3")),
    ],
)
def test_fingerprint(flavour: Flavour, expected: tuple[int, int, str]) -> None:
    with torch.device("meta"):
        entries = {
            TEACHER_PREFIX + key: value
            for key, value in TeacherNetwork(TeacherConfig(flavour=flavour)).state_dict().items()
        }
    lines = (f"{key} {'x'.join(map(str, entries[key].shape)) or 'scalar'}\n" for key in sorted(entries))
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
    assert (len(entries), sum(value.numel() for value in entries.values()), digest) == expected
