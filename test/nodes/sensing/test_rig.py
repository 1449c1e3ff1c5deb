"""Rig files."""

from __future__ import annotations

import pytest

from distilldrive_ros.nodes.sensing.rig import load_rig, rig_names
from distilldrive_ros.scene.errors import ConfigurationError

GOOD = "anchor: L\ncameras: [{name: C, frame: c}]\nlidar: {name: L, frame: l}\n"


def test_the_rig_of_nuscenes_fits_the_key_frames_of_the_data_set(shared_dir):
    """Offsets are means over v1.0-mini: each key-frame image lies within 10 ms of where the rig expects it."""
    import json

    tables = shared_dir / "data" / "nuscenes-mini-tables" / "v1.0-mini"
    read = {n: json.loads((tables / f"{n}.json").read_text()) for n in ("sample_data", "calibrated_sensor", "sensor")}
    sensors = {s["token"]: s["channel"] for s in read["sensor"]}
    channels = {c["token"]: sensors[c["sensor_token"]] for c in read["calibrated_sensor"]}
    samples: dict[str, dict[str, int]] = {}
    for row in read["sample_data"]:
        if row["is_key_frame"]:
            samples.setdefault(row["sample_token"], {})[channels[row["calibrated_sensor_token"]]] = row["timestamp"]
    rig = load_rig("nuscenes")
    assert len(rig.sensors) == 7 and rig.anchor == "LIDAR_TOP"
    for stamps in samples.values():
        for sensor in rig.sensors:
            offset_ms = (stamps[sensor.name] - stamps["LIDAR_TOP"]) * 1e-3
            assert abs(offset_ms - sensor.offset_ms) < 10.0, sensor.name


def test_a_rig_may_lie_anywhere(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD, encoding="utf-8")
    rig = load_rig(str(path))
    assert (rig.name, rig.frames) == ("mine", {"C": "c", "L": "l"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cameras: []\n", "must hold anchor"),
        (GOOD + "radar: 1\n", "nothing else"),
        (GOOD.replace("frame: c", "fram: c"), "each sensor needs name and frame"),
        (GOOD.replace("anchor: L", "anchor: X"), "anchor is 'X'"),
        (GOOD.replace("frame: c", "frame: c, tolerance_ms: -1"), "tolerance_ms of C is -1"),
        ("a: [\n", "cannot be read"),
        ("anchor: L\ncameras: 3\n", "cameras must be a list"),
        (GOOD + "own_body: {x: [0, 1], y: [0, 1]}\n", "own_body must hold x, y and z"),
        (GOOD + "own_body: {x: [0, 1], y: [0, 1, 2], z: [0, 1]}\n", "own_body must hold x, y and z"),
        (GOOD + "own_body: {x: [3, 1], y: [0, 1], z: [0, 1]}\n", "own_body: x is [3, 1]"),
    ],
)
def test_a_wrong_rig_is_refused(tmp_path, text, words):
    from distilldrive_ros.nodes.parameters.tables.sensor_sync import SensorSyncConfiguration
    from distilldrive_ros.nodes.sensing.sync_rules import sync_config

    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        sync_config(SensorSyncConfiguration(), load_rig(str(path)))
    assert words in str(caught.value)


def test_an_unknown_rig_names_those_that_there_are():
    with pytest.raises(ConfigurationError, match=r"there is no rig 'nuscene'; use one of .*nuscenes"):
        load_rig("nuscene")
    assert "nuscenes" in rig_names()
