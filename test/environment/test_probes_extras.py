"""What the doctor says of optional extras and of shared memory that killed programs left."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilldrive_ros.environment import probes_extras
from distilldrive_ros.environment.findings import Status
from distilldrive_ros.environment.probes_extras import probe_extras, probe_shared_memory


def test_left_segments_are_counted_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fastdds_0011").write_bytes(bytes(3_000_000))
    (tmp_path / "fastrtps_port7411").write_bytes(bytes(1_000_000))
    (tmp_path / "of_somebody_else").write_bytes(bytes(5_000_000))
    (few,) = probe_shared_memory(tmp_path)
    assert few.status is Status.OK and "in 2 files of Fast DDS" in few.value and not few.remedy
    monkeypatch.setattr(probes_extras, "MUCH_BYTES", 3_500_000)
    (many,) = probe_shared_memory(tmp_path)
    assert many.status is Status.OPTIONAL and f"rm -f {tmp_path}/fastdds_*" in many.remedy


def test_a_machine_without_shared_memory_has_none(tmp_path: Path) -> None:
    (found,) = probe_shared_memory(tmp_path / "nowhere")
    assert found.value == "0.0 GiB in 0 files of Fast DDS"


def test_extras_are_optional_and_name_their_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes_extras, "EXTRAS", {"here": ("numpy", "numpy", "x"), "away": ("n", "no_such_one", "y")})
    here, away = probe_extras()
    assert (here.status, here.remedy) == (Status.OK, "") and here.value.startswith("numpy ")
    assert (away.status, away.value, away.remedy) == (Status.OPTIONAL, "not installed", "y")
