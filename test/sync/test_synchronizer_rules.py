"""Each rule of the synchroniser on its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import ConfigurationError, SensorDataError
from distilldrive_ros.scene.sensor_frame import CameraStatus, Degraded, Discontinuity

FRAME = [("CAM_A", -10), ("CAM_B", -5), ("LIDAR", 0)]


def drive(player: Any, *frames: float, without: tuple[str, ...] = ()) -> None:
    """Whole frames at these times, odometry just before and after each."""
    for ms in frames:
        messages = [("odometry", -20), *FRAME, ("odometry", 20)]
        player.send_all((stream, ms + offset) for stream, offset in messages if stream not in without)


def test_complete_set(rig: Any) -> None:
    player = rig.player()
    drive(player, 0)
    (one,) = player.sets
    assert player.describe(one) == (
        0,
        {"CAM_A": (-10, "FRESH"), "CAM_B": (-5, "FRESH")},
        0,
        Degraded.COMMAND_DEFAULT,
        Command.STRAIGHT,
    )
    assert (one.frame_id, one.world_frame, one.sequence, one.discontinuity) == (
        "base_link",
        "odom",
        0,
        Discontinuity.START,
    )
    assert one.camera("CAM_A").width == 16 and one.camera("CAM_A").height == 9 and one.lidar.num_points == 1
    assert one.ego.speed == 5 and one.ego.stamp_ns == one.stamp_ns and math.isnan(one.ego.acceleration)
    assert one.ego.source_stamp_ns == player.stamp(20)
    drive(player, 100)
    assert player.sets[1].sequence == 1 and player.sets[1].discontinuity == Discontinuity.NONE
    assert player.sync.counters.emitted == 2 and player.sync.counters.timeouts == 0


@pytest.mark.parametrize(
    "order",
    [
        ("CAM_A", "CAM_B", "odometry", "LIDAR"),
        ("LIDAR", "CAM_A", "CAM_B", "odometry"),
        ("odometry", "CAM_A", "LIDAR", "CAM_B"),
    ],
)
def test_exact_odometry_and_any_order(rig: Any, order: tuple[str, ...]) -> None:
    player = rig.player()
    counts = [len(player.send(stream, 0)) for stream in order]
    assert counts == [0, 0, 0, 1]
    assert player.sets[0].degraded == Degraded.COMMAND_DEFAULT


def test_camera_as_anchor(rig: Any) -> None:
    player = rig.player(anchor="CAM_B")
    player.send_all([("odometry", -20), ("LIDAR", -15), ("CAM_A", 5), ("CAM_B", 0), ("odometry", 20)])
    assert player.describe(player.sets[0])[:3] == (0, {"CAM_A": (5, "FRESH"), "CAM_B": (0, "FRESH")}, -15)


def test_offsets_shift_the_expectation(rig: Any) -> None:
    player = rig.player(offsets=(-40.0, 30.0), tolerance_ms=5, settle_ms=5)
    player.send_all(
        [("odometry", -60), ("CAM_A", -60), ("CAM_A", -41), ("CAM_A", 0), ("LIDAR", 0), ("CAM_B", 0), ("CAM_B", 33)]
    )
    player.send("odometry", 40)
    assert player.describe(player.sets[0])[1] == {"CAM_A": (-41, "FRESH"), "CAM_B": (33, "FRESH")}


def test_near_image_is_taken_at_once_and_a_far_one_waits_for_proof(rig: Any) -> None:
    player = rig.player(tolerance_ms=50, settle_ms=10)
    player.send_all([("odometry", -60), ("odometry", 0), ("CAM_A", -9), ("CAM_B", -40), ("LIDAR", 0)])
    assert not player.sets
    player.send("CAM_B", 35)
    assert not player.sets
    player.send("odometry", 60)
    assert player.describe(player.sets[0])[1] == {"CAM_A": (-9, "FRESH"), "CAM_B": (35, "FRESH")}


def test_far_image_is_used_when_the_waiting_time_is_over(rig: Any) -> None:
    player = rig.player(tolerance_ms=50, settle_ms=10, wait_timeout_ms=100)
    player.send_all([("odometry", -60), ("odometry", 0), ("CAM_A", -9), ("CAM_B", -40), ("LIDAR", 0)])
    assert player.poll(99) == [] and len(player.poll(100)) == 1
    assert player.describe(player.sets[0])[1]["CAM_B"] == (-40, "FRESH")
    assert player.sync.counters.timeouts == 1 and player.sync.counters.degraded == 1


def test_silent_camera_skips_with_a_reason(rig: Any) -> None:
    player = rig.player()
    for frame in range(5):
        drive(player, 100 * frame, without=("CAM_B",))
    player.poll(1000)
    counters = player.sync.counters
    assert player.sets == [] and counters.dropped == {"camera": 5} and counters.timeouts == 5
    status = player.sync.status(player.stamp(1000))
    assert str(status.last_incomplete) == "set at 1000.400 s dropped: CAM_B: nothing received"
    by_name = {sensor.name: sensor for sensor in status.sensors}
    assert by_name["CAM_B"].missing == 5 and by_name["CAM_B"].age_s == math.inf and by_name["CAM_A"].missing == 0
    assert by_name["CAM_A"].rate_hz == pytest.approx(10)


def test_missing_is_known_without_waiting_when_the_next_image_came(rig: Any) -> None:
    player = rig.player()
    drive(player, 0)
    drive(player, 100, without=("CAM_B",))
    drive(player, 200)
    assert [player.ms(one.stamp_ns) for one in player.sets] == [0, 200]
    assert player.sync.counters.timeouts == 0 and player.sync.counters.dropped == {"camera": 1}
    incomplete = player.sync.status(player.stamp(200)).last_incomplete
    assert "CAM_B: no message within 50 ms of its expected stamp (newest -95 ms behind)" in str(incomplete)


def test_late_camera_is_reported_with_its_lateness(rig: Any) -> None:
    player = rig.player(wait_timeout_ms=100)
    drive(player, 0, without=("CAM_B",))
    player.poll(100)
    assert player.sets == []
    player.send("CAM_B", -5, at=160)
    (late,) = [s for s in player.sync.status(player.stamp(160)).sensors if s.name == "CAM_B"]
    assert late.late_by_ms == pytest.approx(60) and late.missing == 1


def test_hold_last(rig: Any) -> None:
    player = rig.player(missing_camera="hold_last", hold_limit_ms=250)
    drive(player, 0)
    for frame in (100, 200, 300):
        drive(player, frame, without=("CAM_B",))
        player.poll(frame + 199)
    described = [player.describe(one) for one in player.sets]
    assert [d[1]["CAM_B"] for d in described] == [(-5, "FRESH"), (-5, "HELD"), (-5, "HELD")]
    assert [bool(d[3] & Degraded.CAMERA_HELD) for d in described] == [False, True, True]
    counters = player.sync.counters
    assert counters.cameras_held == 2 and counters.dropped == {"camera": 1}
    drive(player, 400)
    assert player.sets[-1].camera("CAM_B").status is CameraStatus.FRESH


def test_zero_fill(rig: Any) -> None:
    player = rig.player(missing_camera="zero_fill")
    drive(player, 0, without=("CAM_B",))
    (one,) = player.poll(200)
    camera = one.camera("CAM_B")
    assert camera.status is CameraStatus.ZERO_FILLED and camera.stamp_ns == one.stamp_ns and camera.encoding == "rgb8"
    assert camera.data.shape == (16 * 9 * 3,) and not camera.data.any()
    assert (
        one.degraded == Degraded.CAMERA_MISSING | Degraded.COMMAND_DEFAULT
        and player.sync.counters.cameras_zero_filled == 1
    )
    player.describe(one)


@pytest.mark.parametrize(("required", "emitted"), [(False, 1), (True, 0)])
def test_lidar_missing(rig: Any, required: bool, emitted: int) -> None:
    player = rig.player(anchor="CAM_A", lidar_required=required)
    drive(player, 0, without=("LIDAR",))
    player.poll(200)
    assert len(player.sets) == emitted
    if emitted:
        assert player.sets[0].lidar is None and Degraded.LIDAR_MISSING in player.sets[0].degraded
        assert player.sync.counters.lidars_missing == 1
    else:
        assert player.sync.counters.dropped == {"lidar": 1}


def test_a_rig_without_lidar_is_not_degraded(rig: Any) -> None:
    sensors = rig.config().sensors[:2]
    player = rig.player(anchor="CAM_A", sensors=sensors)
    player.send_all([("odometry", 0), ("CAM_A", 0), ("CAM_B", 0)])
    assert player.sets[0].lidar is None and player.sets[0].degraded == Degraded.COMMAND_DEFAULT


def test_sets_come_in_the_order_of_their_stamps(rig: Any) -> None:
    player = rig.player(wait_timeout_ms=1000)
    drive(player, 0, without=("CAM_B",))
    drive(player, 100)
    # The first lacks a camera for certain now; had it come late but in time, it would have been first.
    assert [player.ms(one.stamp_ns) for one in player.sets] == [100]
    player = rig.player(wait_timeout_ms=1000)
    player.send_all([("odometry", 0), ("odometry", 100), ("CAM_A", 0), ("CAM_A", 100), ("LIDAR", 0), ("LIDAR", 100)])
    assert player.send("CAM_B", 0) and player.send("CAM_B", 100)
    assert [player.ms(one.stamp_ns) for one in player.sets] == [0, 100]


@pytest.mark.parametrize(("periods", "kept"), [([100] * 10, 3), ([400, 600, 500, 450, 550], 6), ([340, 340, 300], 3)])
def test_decimation(rig: Any, periods: list[int], kept: int) -> None:
    player = rig.player(min_period_ms=350)
    times = np.cumsum([0, *periods])
    drive(player, *(float(t) for t in times))
    assert len(player.sets) == kept
    assert player.sync.counters.decimated == len(times) - kept
    assert min(np.diff([one.stamp_ns for one in player.sets])) >= 0.95 * 350e6


def test_a_dropped_set_lets_the_next_anchor_through(rig: Any) -> None:
    player = rig.player(min_period_ms=350)
    drive(player, 0)
    drive(player, 400, without=("CAM_A",))
    drive(player, 500)
    assert [player.ms(one.stamp_ns) for one in player.sets] == [0, 500]


def test_duplicates_and_zero_stamps_count_and_change_nothing(rig: Any) -> None:
    plain, noisy = rig.player(), rig.player()
    drive(plain, 0, 100)
    for ms in (0, 100):
        for stream, offset in [("odometry", -20), *FRAME, ("odometry", 20)]:
            noisy.send(stream, ms + offset)
            noisy.send(stream, ms + offset, at=ms + offset + 1)
            noisy.send(stream, -noisy.START_MS, at=ms + offset + 1)
    assert [noisy.describe(one) for one in noisy.sets] == [plain.describe(one) for one in plain.sets]
    counters = noisy.sync.counters
    assert counters.duplicates == 10 and counters.zero_stamps == 10 and counters.messages == 30


def test_out_of_order_images_are_used(rig: Any) -> None:
    player = rig.player(tolerance_ms=50, settle_ms=0)
    player.send_all(
        [("odometry", 0), ("odometry", -60), ("odometry", 60), ("CAM_A", 40), ("CAM_A", 1), ("CAM_B", 0), ("LIDAR", 0)]
    )
    assert player.describe(player.sets[0])[1]["CAM_A"] == (1, "FRESH")
    assert player.sync.counters.out_of_order == 2


def test_late_anchor_is_not_emitted_out_of_order(rig: Any) -> None:
    player = rig.player()
    drive(player, 0, 100)
    assert player.send("LIDAR", 50, at=130) == []
    assert player.sync.counters.stale_stamps == 1 and player.sync.status(player.stamp(130)).pending_sets == 0


def test_stamp_from_the_future_is_refused_and_the_next_set_is_good(rig: Any) -> None:
    player = rig.player()
    drive(player, 0)
    player.send("CAM_A", 50_000, at=10)
    player.send("LIDAR", 60_000, at=10)
    drive(player, 100, 200)
    assert [player.ms(one.stamp_ns) for one in player.sets] == [0, 100, 200]
    assert player.sync.counters.future_stamps == 2
    assert all(one.discontinuity == Discontinuity.NONE for one in player.sets[1:])


def test_no_pose_no_set(rig: Any) -> None:
    player = rig.player()
    player.send_all(FRAME)
    player.poll(200)
    assert player.sets == [] and player.sync.counters.dropped == {"odometry": 1}
    assert "odometry: nothing received" in str(player.sync.status(0).last_incomplete)


def test_odometry_that_stops_is_extrapolated_up_to_its_limit(rig: Any) -> None:
    player = rig.player(max_extrapolation_ms=100)
    drive(player, 0)
    for ms in (100, 200):
        drive(player, ms, without=("odometry",))
    player.poll(500)
    assert [player.ms(one.stamp_ns) for one in player.sets] == [0, 100]
    assert Degraded.EGO_STALE in player.sets[1].degraded and player.sets[1].ego.source_stamp_ns == player.stamp(20)
    player.describe(player.sets[1])
    counters = player.sync.counters
    assert counters.egos_extrapolated == 1 and counters.dropped == {"odometry": 1}
    assert "odometry: no pose within 100 ms" in str(player.sync.status(0).last_incomplete)


def test_bad_odometry_is_refused(rig: Any) -> None:
    player = rig.player()
    player.send("odometry", 0, speed=math.nan)
    player.send("odometry", 10, x=math.inf)
    assert player.sync.counters.refused == 2
    assert "not a rigid finite pose" in player.sync.status(0).odometry.last_problem


def test_command_holds_until_its_time_is_over(rig: Any) -> None:
    player = rig.player(command_timeout_s=0.5, default_command=Command.RIGHT)
    player.send("command", 0, command=Command.LEFT)
    drive(player, 100, 500, 600)
    assert [one.command for one in player.sets] == [Command.LEFT, Command.LEFT, Command.RIGHT]
    assert [Degraded.COMMAND_DEFAULT in one.degraded for one in player.sets] == [False, False, True]


def test_a_later_command_does_not_count_for_an_earlier_anchor(rig: Any) -> None:
    player = rig.player()
    player.send_all([("command", -50), ("CAM_A", 0), ("CAM_B", 0), ("LIDAR", 0)])
    player.send("command", 10, command=Command.RIGHT)
    player.send("odometry", 0)
    assert player.sets[0].command is Command.LEFT


def test_waiting_for_the_command_of_the_key_frame(rig: Any) -> None:
    player = rig.player(wait_for_command=True)
    player.send_all([("odometry", 0), ("CAM_A", 0), ("CAM_B", 0), ("LIDAR", 0)])
    assert player.sets == []
    player.send("command", 0, command=Command.RIGHT)
    assert player.sets[0].command is Command.RIGHT
    # A silent command topic delays, it does not stop.
    player.send_all([("odometry", 100), ("CAM_A", 100), ("CAM_B", 100), ("LIDAR", 100)])
    assert len(player.poll(250)) == 1


def test_a_typed_command_without_stamp_holds_from_now_on(rig: Any) -> None:
    player = rig.player()
    assert player.sync.add_command(0, Command.LEFT, player.stamp(0)) == [] and player.sync.counters.zero_stamps == 1
    drive(player, 0)
    player.sync.add_command(0, Command.LEFT, player.stamp(50))
    drive(player, 100)
    assert player.sets[1].command is Command.LEFT


def test_gap(rig: Any) -> None:
    player = rig.player(max_gap_s=1.0)
    drive(player, 0, 500, 1600, 2000, 60_000, 60_100)
    flags = [one.discontinuity for one in player.sets]
    none, gap = Discontinuity.NONE, Discontinuity.GAP
    assert flags == [Discontinuity.START, none, gap, none, gap, none]
    # All streams leap together.
    assert player.sync.counters.gaps == 2 and player.sync.counters.forward_jumps == 2


def test_teleport(rig: Any) -> None:
    player = rig.player()
    drive(player, 0, 100)
    for stream, ms in [("odometry", 180), ("CAM_A", 190), ("CAM_B", 195), ("LIDAR", 200), ("odometry", 220)]:
        player.send(stream, ms, x=100 + 5e-3 * ms)
    for stream, ms in [("odometry", 280), ("CAM_A", 290), ("CAM_B", 295), ("LIDAR", 300), ("odometry", 320)]:
        player.send(stream, ms, x=100 + 5e-3 * ms)
    assert [one.discontinuity for one in player.sets[1:]] == [
        Discontinuity.NONE,
        Discontinuity.TELEPORT,
        Discontinuity.NONE,
    ]
    assert player.sync.counters.teleports == 1


def test_set_across_a_teleport_is_dropped_and_the_next_flagged(rig: Any) -> None:
    player = rig.player()
    drive(player, 0)
    player.send_all([("odometry", 80), ("CAM_A", 90)])
    for stream, ms in [("odometry", 95), ("CAM_B", 95), ("LIDAR", 100), ("odometry", 120)]:
        player.send(stream, ms, x=500.0)
    assert player.sync.counters.dropped == {"teleport": 1}
    for stream, ms in [("odometry", 180), ("CAM_A", 190), ("CAM_B", 195), ("LIDAR", 200), ("odometry", 220)]:
        player.send(stream, ms, x=500.5)
    assert [one.discontinuity for one in player.sets] == [Discontinuity.START, Discontinuity.TELEPORT]


def test_scene_change(rig: Any) -> None:
    player = rig.player()
    player.sync.notify_scene("one")
    drive(player, 0, 100)
    player.sync.notify_scene("two", player.stamp(300))
    drive(player, 200, 300, 400)
    player.sync.notify_scene("two", player.stamp(400))
    drive(player, 500)
    player.sync.notify_scene("three")
    drive(player, 600)
    change, none = Discontinuity.SCENE_CHANGE, Discontinuity.NONE
    assert [one.discontinuity for one in player.sets] == [Discontinuity.START, none, none, change, none, none, change]
    assert player.sync.counters.scene_changes == 2


def test_scene_change_that_comes_with_a_jump_is_flagged_once(rig: Any) -> None:
    player = rig.player()
    player.sync.notify_scene("one")
    drive(player, 0)
    drive(player, 60_000)
    player.sync.notify_scene("two", player.stamp(60_000))
    drive(player, 60_100)
    assert [one.discontinuity for one in player.sets] == [Discontinuity.START, Discontinuity.GAP, Discontinuity.NONE]


def test_reset(rig: Any) -> None:
    player = rig.player()
    drive(player, 0, 100)
    player.send("LIDAR", 200)
    player.sync.reset(Discontinuity.CLOCK_BACKWARD)
    assert player.sync.counters.dropped == {"reset": 1} and player.sync.num_kept == 0
    drive(player, 0)
    assert [one.discontinuity for one in player.sets][-1] == Discontinuity.CLOCK_BACKWARD
    assert player.sets[-1].sequence == 2


def test_calibration_that_comes_late_is_waited_for(rig: Any) -> None:
    player = rig.Player(rig.config(), calibrate=False)
    drive(player, 0)
    assert player.sets == []
    player.calibrate()
    assert len(player.poll(50)) == 1


def test_without_calibration_the_set_is_dropped(rig: Any) -> None:
    player = rig.Player(rig.config(), calibrate=False)
    drive(player, 0)
    player.poll(500)
    assert player.sync.counters.dropped == {"calibration": 1}
    status = player.sync.status(player.stamp(500))
    assert "CAM_A: no calibration yet" in str(status.last_incomplete) and not status.sensors[0].calibrated


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (("bayer", 16, 9, np.zeros(9, np.uint8)), "encoding 'bayer', known are jpeg, png, rgb8"),
        (("jpeg", 0, 0, np.zeros(0, np.uint8)), "no image data"),
        (("rgb8", 16, 9, np.zeros(100, np.uint8)), "100 bytes, a 16 x 9 rgb8 image has 432"),
        (("jpeg", 640, 480, np.zeros(9, np.uint8)), "size 640 x 480, camera_info says 16 x 9"),
    ],
)
def test_unusable_image_is_refused_and_the_next_works(rig: Any, image: tuple[Any, ...], problem: str) -> None:
    player = rig.player()
    assert player.sync.add_camera("CAM_A", player.stamp(-10), *image, player.stamp(-10)) == []
    assert player.sync.status(0).sensors[0].last_problem == problem
    assert player.sync.counters.refused == 1
    drive(player, 0)
    assert len(player.sets) == 1


def test_unusable_sweep_is_refused(rig: Any) -> None:
    player = rig.player()
    player.send("LIDAR", 0, points=np.zeros((3, 4), np.float32))
    assert player.sync.counters.refused == 1 and player.sync.status(0).pending_sets == 0


@pytest.mark.parametrize("anchor", ["CAM_A", "LIDAR"])
def test_images_of_another_size_go_when_the_calibration_comes(rig: Any, anchor: str) -> None:
    player = rig.Player(rig.config(anchor=anchor), calibrate=False)
    player.sync.add_camera("CAM_A", player.stamp(0), "jpeg", 640, 480, np.ones(9, np.uint8), player.stamp(0))
    player.send_all([("odometry", 0), ("CAM_B", 0), ("LIDAR", 0)])
    player.calibrate()
    player.poll(500)
    assert player.sets == [] and "16 x 9" in player.sync.status(0).sensors[0].last_problem
    counters = player.sync.counters
    assert counters.anchors == counters.emitted + counters.decimated + counters.sets_dropped


def test_calibrations_are_checked(rig: Any) -> None:
    sync = rig.player().sync
    with pytest.raises(SensorDataError, match=r"CAM_A.*pinhole"):
        sync.set_camera_calibration("CAM_A", np.zeros((3, 3)), 16, 9, np.eye(4))
    with pytest.raises(SensorDataError, match=r"CAM_A.*0 x 9"):
        sync.set_camera_calibration("CAM_A", np.eye(3), 0, 9, np.eye(4))
    with pytest.raises(SensorDataError, match=r"LIDAR.*rigid"):
        sync.set_lidar_calibration("LIDAR", np.full((4, 4), np.nan))


def test_unknown_and_confused_sensors_are_named(rig: Any) -> None:
    sync = rig.player().sync
    with pytest.raises(ConfigurationError, match=r"CAM_Q.*CAM_A, CAM_B, LIDAR"):
        sync.add_lidar("CAM_Q", 1, np.zeros((1, 5), np.float32), 0)
    with pytest.raises(ConfigurationError, match="CAM_A is a camera, not a lidar"):
        sync.add_lidar("CAM_A", 1, np.zeros((1, 5), np.float32), 0)


def test_pending_sets_are_bounded(rig: Any) -> None:
    player = rig.player(queue_length=5, wait_timeout_ms=10_000)
    for index in range(20):
        player.send("LIDAR", index * 50)
    counters = player.sync.counters
    assert (
        player.sync.status(0).pending_sets == 5 and counters.dropped == {"overflow": 15} and counters.overflowed == 15
    )
