"""The sets depend on the stamps alone: any interleaving of the streams gives what an all-seeing oracle says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.sync.config import SensorConfig, SyncConfig

GAP_MS, EXTRAPOLATION_MS, LAG_MS = 300, 60, 200


@dataclass(frozen=True)
class Case:
    """Stamps (ms) and arrival lags of every stream, and the rules."""

    stamps: dict[str, list[int]]
    lags: dict[str, list[int]]
    config: SyncConfig

    def arrivals(self) -> list[tuple[int, str, int]]:
        """(arrival, stream, stamp) in order of arrival; each stream stays in order."""
        found = []
        for stream, stamps in self.stamps.items():
            arrival = 0
            for index, stamp in enumerate(stamps):
                arrival = max(arrival + 1, stamp + self.lags[stream][index % len(self.lags[stream])])
                found.append((arrival, stream, stamp))
        return sorted(found)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Arbitrary stamps within two seconds for two cameras, LiDAR, odometry and commands."""
    anchor = draw(st.sampled_from(["LIDAR", "CAM_A"]))
    stamps = {}
    for stream, most in (("CAM_A", 20), ("CAM_B", 20), ("LIDAR", 20), ("odometry", 60), ("command", 4)):
        values = st.lists(
            st.integers(0, 2000), unique=True, max_size=most, min_size=most // 2 if stream == "odometry" else 0
        )
        stamps[stream] = sorted(draw(values))
    lags = {stream: draw(st.lists(st.integers(0, LAG_MS), min_size=1, max_size=5)) for stream in stamps}
    sensors = []
    for name, kind in (("CAM_A", "camera"), ("CAM_B", "camera"), ("LIDAR", "lidar")):
        offset = 0 if name == anchor else draw(st.integers(-60, 60))
        sensors.append(SensorConfig(name, kind, offset, draw(st.integers(0, 120)), draw(st.integers(0, 120))))  # type: ignore[arg-type]
    config = SyncConfig(
        anchor,
        tuple(sensors),
        # Longer than the longest lag: no set is closed before all that could still change it has come.
        wait_timeout_ms=3 * LAG_MS,
        missing_camera=draw(st.sampled_from(["skip", "hold_last", "zero_fill"])),
        hold_limit_ms=draw(st.integers(0, 400)),
        lidar_required=draw(st.booleans()),
        min_period_ms=draw(st.sampled_from([0, 100, 200])),
        max_future_ms=60_000,
        backward_jump_ms=60_000,
        max_extrapolation_ms=EXTRAPOLATION_MS,
        max_gap_s=GAP_MS / 1000,
        wait_for_command=True,
        command_timeout_s=0.5,
        queue_length=100,
    )
    return Case(stamps, lags, config)


class Oracle:
    """All messages of a case are known at once."""

    def __init__(self, case: Case) -> None:
        self.case, self.config = case, case.config

    def sets(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        last = None
        for anchor in self.case.stamps[self.config.anchor]:
            if last is not None and anchor - last < 0.95 * self.config.min_period_ms:
                continue
            one = self.set_at(anchor)
            if one is not None:
                found.append(one)
                last = anchor
        return found

    def set_at(self, anchor: int) -> tuple[Any, ...] | None:
        degraded, cameras, lidar, used = Degraded.NONE, {}, None, [anchor]
        for sensor in self.config.sensors:
            target = anchor + sensor.offset_ms
            stamp = anchor if sensor.name == self.config.anchor else self.pick(sensor, target)
            if sensor.kind == "lidar":
                if stamp is None and self.config.lidar_required:
                    return None
                degraded |= Degraded.LIDAR_MISSING if stamp is None else Degraded.NONE
                lidar = stamp
            elif stamp is not None:
                cameras[sensor.name] = (stamp, "FRESH")
            elif self.config.missing_camera == "zero_fill":
                degraded |= Degraded.CAMERA_MISSING
                cameras[sensor.name] = (anchor, "ZERO_FILLED")
            else:
                stamp = self.held(sensor, target)
                if stamp is None or self.config.missing_camera == "skip":
                    return None
                degraded |= Degraded.CAMERA_HELD
                cameras[sensor.name] = (stamp, "HELD")
            used += [] if stamp is None else [stamp]
        ego = [self.ego(stamp) for stamp in used]
        if None in ego:
            return None
        degraded |= Degraded.EGO_STALE if "guessed" in ego else Degraded.NONE
        commands = [c for c in self.case.stamps["command"] if anchor - 500 <= c <= anchor]
        degraded |= Degraded.NONE if commands else Degraded.COMMAND_DEFAULT
        return anchor, cameras, lidar, degraded, Command.LEFT if commands else Command.STRAIGHT

    def pick(self, sensor: SensorConfig, target: float) -> int | None:
        stamps = self.case.stamps[sensor.name]
        settled = [s for s in stamps if abs(s - target) <= min(sensor.settle_ms, sensor.tolerance_ms)]
        if settled:
            return settled[0]
        fitting = [s for s in stamps if abs(s - target) <= sensor.tolerance_ms]
        return min(fitting, key=lambda s: (abs(s - target), s)) if fitting else None

    def held(self, sensor: SensorConfig, target: float) -> int | None:
        limit = self.config.hold_limit_ms
        older = [s for s in self.case.stamps[sensor.name] if target - limit <= s < target - sensor.tolerance_ms]
        return older[-1] if older else None

    def ego(self, stamp: int) -> str | None:
        poses = self.case.stamps["odometry"]
        if stamp in poses:
            return "exact"
        before, after = [p for p in poses if p < stamp], [p for p in poses if p > stamp]
        if before and after and after[0] - before[-1] <= GAP_MS:
            return "between"
        return "guessed" if any(abs(p - stamp) <= EXTRAPOLATION_MS for p in poses) else None


@settings(max_examples=150, deadline=None)
@given(cases())
def test_any_interleaving_gives_the_oracles_sets(rig: Any, case: Case) -> None:
    player = rig.Player(case.config)
    arrivals = case.arrivals()
    for arrival, stream, stamp in arrivals:
        player.send(stream, stamp, at=arrival)
    player.close(at=arrivals[-1][0] + 1)
    assert [player.describe(one) for one in player.sets] == Oracle(case).sets()
    counters = player.sync.counters
    assert counters.anchors == counters.emitted + counters.decimated + counters.sets_dropped
    # A decimated anchor is closed at once: what comes for it later is of no use to any other, and counted as stale.
    assert counters.messages == counters.taken + counters.stale_stamps == len(arrivals)
    assert counters.decimated or not counters.stale_stamps
    assert [one.sequence for one in player.sets] == list(range(len(player.sets)))


@settings(max_examples=50, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_two_interleavings_agree(rig: Any, case: Case, random: Any) -> None:
    orders = [
        case.arrivals(),
        Case(case.stamps, {s: [random.randint(0, LAG_MS)] for s in case.stamps}, case.config).arrivals(),
    ]
    results = []
    for arrivals in orders:
        player = rig.Player(case.config)
        for arrival, stream, stamp in arrivals:
            player.send(stream, stamp, at=arrival)
        player.close(at=arrivals[-1][0] + 1)
        results.append([(player.describe(one), one.discontinuity, one.ego) for one in player.sets])
    assert repr(results[0]) == repr(results[1])
