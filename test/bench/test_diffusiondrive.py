"""The benchmark of DiffusionDrive runs and says what it should; its times decide nothing."""

from __future__ import annotations

from distilldrive_ros.bench import diffusiondrive


def test_quick_run() -> None:
    found = {m.name: m for m in diffusiondrive.measure(quick=True)}
    assert {"diffusiondrive_tiny per set", "diffusiondrive_tiny backbone", "diffusiondrive_tiny heads"} <= set(found)
    assert found["diffusiondrive_tiny engine against plain"].value > 0
    assert found["diffusiondrive_tiny largest difference of a way-point"].met
