"""When sensors fire: the rates of nuScenes, in order, within the drive."""

from __future__ import annotations

import numpy as np
import pytest

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.schedule import KEY_FRAMES_ONLY, SensorRates, Turn, sensor_schedule
from distilldrive_ros.worlds.rig import nominal_rig

RIG = nominal_rig(160)


def times(turns: tuple[Turn, ...], channel: str) -> np.ndarray:
    return np.array([turn.times_ns[channel] for turn in turns])


@pytest.mark.parametrize("first_ns", [0, 700_000_000])
def test_rates_are_those_of_nuscenes(first_ns: int) -> None:
    last_ns = first_ns + 20_000_000_000
    schedule = sensor_schedule(RIG, SensorRates(), first_ns, last_ns, np.random.default_rng(3))
    assert len(schedule.samples_ns) == 40
    assert len(schedule.lidar_turns) == 39 * 10 + 1 and len(schedule.camera_turns) == 39 * 6 + 1
    assert schedule.measurements == 391 + 6 * 235
    lidar = times(schedule.lidar_turns, "LIDAR_TOP")
    assert np.abs(np.diff(lidar) - 50_000_000).max() < 500_000
    assert first_ns <= lidar[0] and lidar[-1] <= last_ns
    for camera in RIG.cameras:
        shutter = times(schedule.camera_turns, camera.channel)
        assert first_ns <= shutter[0] and shutter[-1] <= last_ns
        assert np.abs(np.diff(shutter) - 83_333_333).max() < 800_000
        keys = [turn.times_ns[camera.channel] for turn in schedule.camera_turns if turn.key_frame]
        assert all(abs(s - k - camera.lead_ns) < 1000 for s, k in zip(schedule.samples_ns, keys, strict=True))


def test_key_frames_are_samples_and_sweeps_lead_up_to_one() -> None:
    schedule = sensor_schedule(RIG, SensorRates(), 0, 3_000_000_000, np.random.default_rng(3))
    keys = [turn for turn in schedule.lidar_turns if turn.key_frame]
    assert [turn.times_ns["LIDAR_TOP"] for turn in keys] == list(schedule.samples_ns)
    assert [turn.sample for turn in keys] == list(range(len(keys)))
    for turn in schedule.lidar_turns:
        before = schedule.samples_ns[max(turn.sample - 1, 0)]
        assert before <= turn.times_ns["LIDAR_TOP"] <= schedule.samples_ns[turn.sample]
    gaps = np.diff(schedule.samples_ns)
    assert len(set(gaps)) > 1 and np.abs(gaps - 500_000_000).max() <= 3_001_000
    assert all(time % 1000 == 0 for turn in schedule.camera_turns for time in turn.times_ns.values())


def test_key_frames_only_have_no_sweeps() -> None:
    schedule = sensor_schedule(RIG, KEY_FRAMES_ONLY, 0, 3_000_000_000, np.random.default_rng(3))
    assert all(turn.key_frame for turn in (*schedule.lidar_turns, *schedule.camera_turns))
    assert len(schedule.lidar_turns) == len(schedule.camera_turns) == len(schedule.samples_ns) == 6


@pytest.mark.parametrize("rates", [(11, 20), (12, 0), (12, 100)])
def test_rates_that_do_not_fit_key_frames_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(WorldError, match="even number from 2 to 40"):
        SensorRates(*rates)


def test_drive_too_short_for_a_key_frame_is_refused() -> None:
    with pytest.raises(WorldError, match=r"0\.04 s is too short"):
        sensor_schedule(RIG, SensorRates(), 0, 40_000_000, np.random.default_rng(3))
