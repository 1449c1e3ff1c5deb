"""Speed at a stamp."""

from __future__ import annotations

from distilldrive_ros.planning.speed_history import SpeedHistory

MS = 1_000_000


def history(*samples):
    h = SpeedHistory(length=5)
    for stamp, speed in samples:
        h.add(stamp * MS, speed)
    return h


def test_between_two_samples_it_is_interpolated():
    assert history((0, 1.0), (100, 3.0)).at(25 * MS, 200 * MS) == 1.5


def test_on_a_sample_and_beyond_the_last_one():
    h = history((0, 1.0), (100, 3.0))
    assert h.at(100 * MS, 50 * MS) == 3.0
    assert h.at(140 * MS, 50 * MS) == 3.0
    assert h.at(160 * MS, 50 * MS) is None


def test_a_far_neighbour_does_not_count():
    assert history((0, 1.0), (1000, 9.0)).at(30 * MS, 50 * MS) == 1.0
    assert history((0, 1.0), (1000, 9.0)).at(500 * MS, 50 * MS) is None


def test_nothing_known():
    assert history().at(0, MS) is None


def test_time_that_goes_back_drops_what_lies_after():
    assert history((0, 1.0), (100, 2.0), (200, 3.0), (50, 7.0)).at(200 * MS, 200 * MS) == 7.0


def test_only_the_newest_are_kept():
    assert history(*((10 * i, float(i)) for i in range(9))).at(0, MS) is None
