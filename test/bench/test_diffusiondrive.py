"""The benchmark of DiffusionDrive runs and says what it should; its times decide nothing."""

from __future__ import annotations

import torch

from distilldrive_ros.bench import diffusiondrive


def test_quick_run() -> None:
    found = {m.name: m for m in diffusiondrive.measure(quick=True)}
    parts = ["network"] if torch.cuda.is_available() else ["backbone", "heads"]
    assert {f"diffusiondrive_tiny {part}" for part in ["per set", *parts, "network, fixed memory"]} <= set(found)
    assert found["diffusiondrive_tiny engine against plain"].value > 0
    assert found["diffusiondrive_tiny largest difference of a way-point"].met
