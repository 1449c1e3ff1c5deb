"""Long drives, loops and rubbish: the same sets again, bounded memory, every message accounted for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.scene.sensor_frame import Discontinuity
from distilldrive_ros.sync.config import SensorConfig, SyncConfig

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
# nuScenes: cameras fire while the LiDAR, stamped at the end of its turn, sweeps past them.
OFFSETS = dict(zip(CAMERAS, (-35, -27, -43, -10, -1, -20), strict=True))


def six_cameras(**rules: Any) -> SyncConfig:
    cameras = tuple(SensorConfig(name, "camera", OFFSETS[name], 40, 20) for name in CAMERAS)
    return SyncConfig("LIDAR_TOP", (*cameras, SensorConfig("LIDAR_TOP", "lidar")), **rules)


def check_accounts(player: Any) -> None:
    """Every message and every anchor is somewhere."""
    counters, guard = player.sync.counters, player.sync._guard
    unused = counters.duplicates + counters.zero_stamps + counters.future_stamps + counters.stale_stamps
    held = counters.refused + counters.discarded_by_reset + guard.num_held
    assert counters.messages == counters.taken + unused + held
    pending = player.sync.status(0).pending_sets
    assert counters.anchors == counters.emitted + counters.decimated + counters.sets_dropped + pending


@pytest.mark.slow
def test_ten_thousand_frames_with_drops_do_not_grow(rig: Any) -> None:
    player = rig.Player(six_cameras())
    random = np.random.default_rng(4)
    frames = 10_000
    lost = random.random((frames, len(CAMERAS) + 3)) < 0.05
    sizes = []
    for frame in range(frames):
        start = frame * 100.0
        messages = [(OFFSETS[name] + random.uniform(-5, 5), name) for name in CAMERAS]
        messages += [(0.0, "LIDAR_TOP"), (20.0, "odometry"), (70.0, "odometry")]
        for (offset, stream), gone in sorted(zip(messages, lost[frame], strict=True)):
            if not gone:
                player.send(stream, start + offset)
        sizes.append(player.sync.num_kept)
        if frame == 100:
            player.sets.clear()
    player.close(frames * 100.0 + 1000)
    # A set needs its cameras and its sweep; lost odometry is bridged by interpolation.
    complete = ~lost[:, : len(CAMERAS) + 1].any(axis=1)
    counters = player.sync.counters
    assert counters.emitted == complete.sum()
    assert counters.dropped == {"camera": int((~lost[:, len(CAMERAS)] & ~complete).sum())}
    stamps = [player.ms(one.stamp_ns) for one in player.sets]
    assert stamps == [100.0 * frame for frame in np.flatnonzero(complete) if frame > 100]
    # A few of each sensor and the odometry of 5 s, on the last day as on the first.
    assert max(sizes) <= 7 * 4 + 105 and max(sizes[5000:]) <= max(sizes[:5000]) + 10
    check_accounts(player)


def one_pass(random: np.random.Generator, frames: int = 12) -> list[tuple[float, str]]:
    """Key frames at 2 Hz with jitter, one camera lost once, odometry at every stamp, a command per key frame."""
    messages, lidar = [], 0.0
    for frame in range(frames):
        lidar += random.uniform(400, 600)
        for name in CAMERAS:
            stamp = lidar + OFFSETS[name] + random.uniform(-4, 4)
            messages += [(stamp, "odometry")] + ([] if (frame, name) == (5, "CAM_BACK") else [(stamp, name)])
        messages += [(lidar, "odometry"), (lidar, "LIDAR_TOP"), (lidar, "command")]
    return sorted(messages)


def play(
    player: Any, messages: list[tuple[float, str]], random: np.random.Generator, start: float, jitter: float
) -> float:
    """One pass, each stream in order, arriving up to `jitter` ms late; the steady time after it."""
    late = {stream: 0.0 for _, stream in messages}
    arrivals = []
    for stamp, stream in messages:
        late[stream] = max(late[stream] + 0.01, start + stamp + random.uniform(0, jitter))
        arrivals.append((late[stream], stamp, stream))
    for arrival, stamp, stream in sorted(arrivals):
        player.send(stream, stamp, at=arrival)
        player.poll(arrival)
    return max(late.values())


def contents(player: Any, sets: list[Any]) -> list[Any]:
    return [(player.describe(one), one.ego.speed, one.world_from_base.tolist()) for one in sets]


@pytest.mark.parametrize("policy", ["skip", "hold_last", "zero_fill"])
@pytest.mark.parametrize("jitter", [0.0, 60.0])
def test_looped_bag_gives_identical_passes(rig: Any, policy: str, jitter: float) -> None:
    random = np.random.default_rng(7)
    messages = one_pass(random)
    player = rig.Player(six_cameras(missing_camera=policy, wait_for_command=True, hold_limit_ms=700, min_period_ms=350))
    passes, now = [], 0.0
    for _ in range(3):
        before = len(player.sets)
        now = play(player, messages, random, now, jitter)
        passes.append(before)
    player.close(now + 1000)
    starts = [i for i, one in enumerate(player.sets) if one.discontinuity]
    assert [player.sets[i].discontinuity for i in starts] == [Discontinuity.START, *[Discontinuity.CLOCK_BACKWARD] * 2]
    first, second, third = (player.sets[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True))
    assert len(first) == (11 if policy == "skip" else 12)
    assert contents(player, first) == contents(player, second) == contents(player, third)
    assert player.sync.counters.clock_backward == 2
    check_accounts(player)


def test_stragglers_of_the_last_pass_do_not_disturb_the_new_one(rig: Any) -> None:
    random = np.random.default_rng(3)
    messages = one_pass(random)
    plain = rig.Player(six_cameras())
    plain.close(play(plain, messages, random, 0.0, 0.0) + 1000)
    player = rig.Player(six_cameras())
    # Two cameras bring the last key frame only in the middle of the new pass's first one.
    behind = [m for m in messages if m[0] > messages[-1][0] - 60 and m[1] in ("CAM_FRONT_LEFT", "CAM_FRONT")]
    now = play(player, [m for m in messages if m not in behind], random, 0.0, 0.0)
    for index, (stamp, stream) in enumerate(messages):
        player.send(stream, stamp, at=now + stamp)
        if index == 8:
            for late_stamp, late_stream in behind:
                if late_stream not in [s for _, s in messages[: index + 1]]:
                    player.send(late_stream, late_stamp, at=now + stamp)
    player.close(now + 10_000)
    (start,) = [i for i, one in enumerate(player.sets) if one.discontinuity == Discontinuity.CLOCK_BACKWARD]
    assert contents(player, player.sets[start:]) == contents(plain, plain.sets)
    assert player.sync.counters.clock_backward == 1


rubbish = st.tuples(
    st.sampled_from(["CAM_A", "CAM_B", "LIDAR", "odometry", "command"]),
    st.one_of(st.integers(-1_000_000, 400), st.integers(0, 2000), st.just(-1_000_000), st.integers(-(10**9), 10**12)),
    st.integers(0, 300),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(rubbish, max_size=120), st.sampled_from(["skip", "hold_last", "zero_fill"]), st.integers(2, 8))
def test_rubbish_is_survived_and_accounted_for(rig: Any, messages: list[Any], policy: str, length: int) -> None:
    player = rig.player(missing_camera=policy, queue_length=length, ego_buffer_s=0.5, hold_limit_ms=300)
    now = 0
    for stream, ms, later in messages:
        now += later
        player.send(stream, ms, at=now)
        check_accounts(player)
        # Sensor, anchor, held-back and command queues are bounded by their length, odometry by its samples in time.
        assert player.sync.num_kept <= 3 * length + 5 * length + length + len(messages)
    player.close(now)
    check_accounts(player)
    assert player.sync.status(0).pending_sets == 0
    previous = None
    for one in player.sets:
        if previous is not None and Discontinuity.CLOCK_BACKWARD not in one.discontinuity:
            assert one.stamp_ns > previous
        previous = one.stamp_ns
        assert len(one.cameras) == 2 and np.isfinite(one.world_from_base).all()


def test_after_rubbish_the_next_good_frames_work(rig: Any) -> None:
    player = rig.player()
    random = np.random.default_rng(11)
    streams = ["CAM_A", "CAM_B", "LIDAR", "odometry", "command"]
    for index in range(500):
        player.send(str(random.choice(streams)), float(random.uniform(-(10**6), 10**9)), at=index)
    before = len(player.sets)
    for frame in range(20):
        ms = 5_000_000 + 100.0 * frame
        for stream, offset in [("odometry", -20), ("CAM_A", -10), ("CAM_B", -5), ("LIDAR", 0), ("odometry", 20)]:
            player.send(stream, ms + offset, at=10_000 + 100 * frame)
    player.close(10**6)
    assert len(player.sets) - before >= 19


@pytest.mark.parametrize("silent_for", [5, 20])
def test_camera_away_for_a_while(rig: Any, silent_for: int) -> None:
    player = rig.player()
    for frame in range(60):
        for stream, offset in [("odometry", -20), ("CAM_A", -10), ("CAM_B", -5), ("LIDAR", 0), ("odometry", 20)]:
            if stream != "CAM_B" or not 20 <= frame < 20 + silent_for:
                player.send(stream, 100.0 * frame + offset)
        player.poll(100.0 * frame + 50)
    assert player.sync.counters.dropped == {"camera": silent_for}
    assert [player.ms(one.stamp_ns) for one in player.sets] == [
        100.0 * frame for frame in range(60) if not 20 <= frame < 20 + silent_for
    ]
    gaps = [one for one in player.sets if one.discontinuity == Discontinuity.GAP]
    assert len(gaps) == (1 if silent_for >= 10 else 0)
