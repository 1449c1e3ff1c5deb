"""Each bad input gives one clear diagnostic, and the next good set is planned again."""

from __future__ import annotations

import dataclasses
from importlib import import_module

import numpy as np
import pytest

from distilldrive_ros.nodes.running.diagnostics import Level

conftest = import_module("test.nodes.conftest")
START_NS, STEP_NS, CAMERAS = conftest.START_NS, conftest.STEP_NS, conftest.CAMERAS


@pytest.fixture
def graph(drive):
    """All three nodes, connected, and one set planned."""
    return start(drive)


def start(drive, sync=None, perception=None, planner=None):
    drive.sync = drive.sensor_sync(**(sync or {}))
    drive.perception = drive.perception_planning(**(perception or {}))
    drive.planning = drive.planner(**(planner or {}))
    drive.spin_until(lambda: drive.perception.active, "autostart")
    drive.connect()
    return drive


def send_and_plan(drive, index, **arguments):
    """Send set number `index` and wait for its plan."""
    stamp = START_NS + index * STEP_NS
    drive.send_set(stamp, **arguments)
    drive.spin_until(lambda: any(stamp == plan_stamp(p) for p in drive.received["planner/paths"]), f"plan {index}")
    return next(p for p in drive.received["planner/paths"] if plan_stamp(p) == stamp)


def plan_stamp(plan):
    return plan.header.stamp.sec * 1_000_000_000 + plan.header.stamp.nanosec


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (conftest.jpeg()[:300], "JPEG image is cut off after 300 bytes"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 200, "JPEG image is damaged in its header"),
        (b"not an image at all", "image is neither JPEG nor PNG"),
        (b"", "image is empty"),
        (conftest.jpeg(32, 18), "32 x 18"),
    ],
)
def test_a_bad_image_is_refused_with_its_reason_and_the_next_set_is_planned(graph, payload, words):
    send_and_plan(graph, 0)
    graph.send_set(START_NS + STEP_NS, images={"CAM_FRONT": payload})
    graph.wait_for_status("sensor_sync: camera/CAM_FRONT", Level.WARN, words)
    graph.wait_for_status("sensor_sync: sync", Level.WARN, "CAM_FRONT")
    send_and_plan(graph, 2)
    assert not any(plan_stamp(p) == START_NS + STEP_NS for p in graph.received["planner/paths"])


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_raw_images_are_planned_and_wrong_ones_refused(drive, encoding):
    start(drive, sync={"image_transport": "raw"})
    stamp = START_NS
    good = {name: conftest.raw_message(name, stamp, encoding) for name in CAMERAS}
    send_and_plan(drive, 0, images=good)
    stamp += STEP_NS
    bad = {name: conftest.raw_message(name, stamp, encoding) for name in CAMERAS}
    bad["CAM_BACK"].encoding = "16UC1"
    drive.send_set(stamp, images=bad)
    drive.wait_for_status("sensor_sync: camera/CAM_BACK", Level.WARN, "image encoding '16UC1' is not supported")
    stamp += STEP_NS
    bad = {name: conftest.raw_message(name, stamp, encoding) for name in CAMERAS}
    bad["CAM_BACK"].step = 10
    drive.send_set(stamp, images=bad)
    drive.wait_for_status("sensor_sync: camera/CAM_BACK", Level.WARN, "has step 10")
    stamp += STEP_NS
    send_and_plan(drive, 3, images={name: conftest.raw_message(name, stamp, encoding) for name in CAMERAS})


def test_a_camera_that_stays_away_for_a_second_is_named(drive):
    start(drive, sync={"camera_timeout_s": 1.0})
    send_and_plan(drive, 0)
    for index in (1, 2):
        drive.send_set(START_NS + index * STEP_NS, cameras=("CAM_FRONT",))
        drive.wait_for_status("sensor_sync: sync", Level.WARN, "CAM_BACK")
    drive.wait_for_status("sensor_sync: camera/CAM_BACK", Level.ERROR, "no image for 1.")
    send_and_plan(drive, 3)
    drive.wait_for_status("sensor_sync: camera/CAM_BACK", Level.OK, "Hz")


def test_a_missing_camera_is_held_or_blackened_where_the_policy_says_so(drive):
    start(drive, sync={"missing_camera": "zero_fill"})
    plan = send_and_plan(drive, 0, cameras=("CAM_FRONT",))
    assert plan.degraded & 1, "the plan itself says that a camera was missing"
    frame = drive.received["sensor_sync/frame"][-1]
    assert [c.status for c in frame.cameras] == [0, 2]


def test_points_that_are_not_finite_are_left_out(graph):
    layout = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2")]
    points = np.array([(1, 2, 3, 4, 5), (np.nan, 2, 3, 4, 5), (1, np.inf, 3, 4, 5)], layout)
    send_and_plan(graph, 0, cloud=conftest.cloud_message(START_NS, points))
    graph.wait_for_status("sensor_sync: lidar/LIDAR_TOP", Level.WARN, "2 points are not finite; left out")
    graph.spin_until(lambda: bool(graph.received["sensor_sync/frame"]), "the set")
    assert graph.received["sensor_sync/frame"][0].lidar[0].num_points == 1
    send_and_plan(graph, 1)


def test_unknown_fields_do_not_matter_and_needed_ones_are_named(graph):
    layout = [("time", "<f8"), ("z", "<f8"), ("y", "<f4"), ("tag", "<u1"), ("x", "<f4")]
    points = np.array([(9.0, 3.0, 2.0, 7, 1.0)], layout)
    send_and_plan(graph, 0, cloud=conftest.cloud_message(START_NS, points))
    graph.wait_for_status("sensor_sync: lidar/LIDAR_TOP", Level.WARN, "no field intensity, ring; filled with 0")
    graph.spin_until(lambda: bool(graph.received["sensor_sync/frame"]), "the set")
    np.testing.assert_allclose(graph.received["sensor_sync/frame"][0].lidar[0].points, [1, 2, 3, 0, 0])
    nameless = np.array([(1.0, 2.0)], [("range", "<f4"), ("azimuth", "<f4")])
    graph.send_set(START_NS + STEP_NS, cloud=conftest.cloud_message(START_NS + STEP_NS, nameless))
    graph.wait_for_status("sensor_sync: lidar/LIDAR_TOP", Level.WARN, "no field x, y, z (it has: range, azimuth)")
    send_and_plan(graph, 2)


def test_a_big_endian_cloud_is_refused(graph):
    cloud = conftest.cloud_message(START_NS)
    cloud.is_bigendian = True
    graph.send_set(START_NS, cloud=cloud)
    graph.wait_for_status("sensor_sync: lidar/LIDAR_TOP", Level.WARN, "big-endian")
    send_and_plan(graph, 1)


def test_without_odometry_there_is_no_plan(drive):
    start(drive, sync={"odometry_timeout_s": 0.3})
    send_and_plan(drive, 0)
    drive.send_set(START_NS + STEP_NS, odometry=False)
    drive.wait_for_status("sensor_sync: sync", Level.WARN, "dropped: odometry")
    drive.wait_for_status("sensor_sync: odometry", Level.ERROR, "no message for 0.")
    send_and_plan(drive, 2)
    assert not any(plan_stamp(p) == START_NS + STEP_NS for p in drive.received["planner/paths"])


def test_odometry_of_another_frame_is_refused_with_the_remedy(graph):
    message = conftest.odometry_message(START_NS)
    message.child_frame_id = "imu"
    graph.publishers["odometry"].publish(message)
    graph.wait_for_status("sensor_sync: odometry", Level.WARN, "odometry is of frame 'imu', not 'base_link'")
    send_and_plan(graph, 1)


def test_a_distorted_camera_is_refused_unless_rectified(graph):
    info = conftest.camera_info("CAM_FRONT", START_NS)
    info.d, info.distortion_model = [0.1, 0.0, 0.0, 0.0, 0.0], "plumb_bob"
    graph.publishers["CAM_FRONT/info"].publish(info)
    graph.wait_for_status("sensor_sync: camera/CAM_FRONT", Level.WARN, "distortion (plumb_bob)")


def test_a_silent_clock_is_named_by_the_steady_watchdog(drive):
    from rosgraph_msgs.msg import Clock

    names = ("sensor_sync", "perception_planning", "planner")
    for name in names:
        getattr(drive, name)(use_sim_time=True, clock_timeout_s=0.2)
    for name in names:
        drive.wait_for_status(f"{name}: clock", Level.ERROR, "use_sim_time is set, and /clock is silent")
    clock = drive.node.create_publisher(Clock, "/clock", 10)
    message = Clock()
    reports = drive.received["/diagnostics"]
    reports.clear()

    def well() -> bool:
        message.clock.sec += 1
        clock.publish(message)
        latest = drive.statuses()
        return all(latest.get(f"{name}: clock") == (Level.OK, "simulated time") for name in names)

    drive.spin_until(well, "the clock to be well again")
    reports.clear()
    for name in names:
        drive.wait_for_status(
            f"{name}: clock", Level.WARN, "/clock is silent: the replay or simulator has paused or ended"
        )


def test_a_loop_of_the_bag_drops_the_state_and_gives_the_same_plans_again(drive):
    # ctra keeps the speed of the set before: with a state left over, the first plan of the second pass would differ.
    start(drive, perception={"model": "ctra"})
    passes = []
    for _ in range(2):
        drive.received["planner/paths"].clear()
        for index in range(4):
            stamp = START_NS + index * STEP_NS
            for offset in (-60_000_000, 0, 20_000_000):
                message = conftest.odometry_message(stamp + offset)
                message.twist.twist.linear.x += 1.5 * index
                message.pose.pose.position.x += 0.3 * index
                drive.publishers["odometry"].publish(message)
            count = len(drive.received["planner/paths"])
            drive.send_set(stamp, odometry=False)
            drive.spin_until(lambda count=count: len(drive.received["planner/paths"]) > count, f"plan {index}")
        passes.append([(plan_stamp(p), p.paths, list(p.scores), p.degraded) for p in drive.received["planner/paths"]])
    assert passes[0] == passes[1]
    assert len({str(p[1]) for p in passes[0]}) == 4, "the sets differ, so equal plans mean something"
    frames = drive.received["sensor_sync/frame"]
    assert [bool(f.discontinuity) for f in frames] == [True, False, False, False] * 2


def test_a_jump_of_the_clock_is_reported_and_leaves_the_state_to_the_stamps(drive):
    """/clock and sets race: the last set of a pass may come after the jump and still belongs to the time before."""
    from rosgraph_msgs.msg import Clock

    from distilldrive_ros.nodes.conversions.factory import ROS

    clock = drive.node.create_publisher(Clock, "/clock", 10)
    start(
        drive, sync={"use_sim_time": True}, perception={"model": "ctra", "use_sim_time": True, "max_frame_age_s": 0.0}
    )

    def tell(nanoseconds):
        def arrived() -> bool:
            clock.publish(Clock(clock=ROS.time(nanoseconds)))
            return all(
                abs(n.get_clock().now().nanoseconds - nanoseconds) < 1000 for n in (drive.sync, drive.perception)
            )

        drive.spin_until(arrived, "the clock")

    tell(START_NS + STEP_NS)
    send_and_plan(drive, 0)
    send_and_plan(drive, 1)
    drive.received["/diagnostics"].clear()
    tell(START_NS - 60_000_000_000)
    drive.wait_for_status("perception_planning: clock", Level.WARN, "time jumped by -60.500 s")
    late = send_and_plan(drive, 2)
    assert not late.degraded & 32, "its history is that of the time before the jump, as it should be"
    drive.send_set(START_NS - 60_000_000_000)
    drive.send_set(START_NS - 60_000_000_000 + STEP_NS)
    paths = drive.received["planner/paths"]
    drive.spin_until(lambda: plan_stamp(paths[-1]) < START_NS, "the plan of the new time")
    assert paths[3].degraded & 32, "the first set of the new time has no history"


class FailingModel:
    """A real baseline whose numbered sets go wrong as asked."""

    def __init__(self, model, faults):
        self._model, self._faults, self._count = model, faults, 0

    def __getattr__(self, name):
        return getattr(self._model, name)

    def step(self, state, prepared):
        self._count += 1
        fault = self._faults.get(self._count)
        if isinstance(fault, Exception):
            raise fault
        state, output = self._model.step(state, prepared)
        if fault == "nan":
            x = output.candidates.x.copy()
            x[0, 3] = np.nan
            output = dataclasses.replace(output, candidates=dataclasses.replace(output.candidates, x=x))
        return state, output


@pytest.fixture
def faulty(monkeypatch):
    """Make the node load a model with faults."""
    from distilldrive_ros.nodes.planning import perception_planning_node

    real = perception_planning_node.load_model

    def install(faults):
        monkeypatch.setattr(
            perception_planning_node, "load_model", lambda name, request: FailingModel(real(name, request), faults)
        )

    return install


def test_a_nan_in_a_plan_publishes_no_path_and_drops_the_state(drive, faulty):
    faulty({2: "nan"})
    start(drive, perception={"model": "ctra"})
    send_and_plan(drive, 0)
    bad = send_and_plan(drive, 1)
    assert bad.selected == -1 and list(bad.invalid_reasons) == [1]
    drive.wait_for_status("perception_planning: inference", Level.ERROR, "1 of 1 candidates are not finite")
    drive.wait_for_status("planner: plan", Level.ERROR, "none of 1 candidates is valid (nonfinite)")
    good = send_and_plan(drive, 2)
    assert good.selected == 0
    drive.spin_until(lambda: len(drive.received["planner/path"]) == 2, "the paths of the good sets")
    stats = drive.received["perception_planning/stats"]
    drive.spin_until(lambda: len(stats) == 3, "the statistics")
    assert stats[-1].state_resets == 1


def test_a_crash_of_the_model_is_counted_and_the_next_set_is_planned(drive, faulty):
    faulty({2: RuntimeError("boom")})
    start(drive)
    send_and_plan(drive, 0)
    drive.send_set(START_NS + STEP_NS)
    drive.wait_for_status("perception_planning: inference", Level.ERROR, "RuntimeError: boom")
    send_and_plan(drive, 2)
    stats = drive.received["perception_planning/stats"]
    drive.spin_until(lambda: len(stats) == 2, "the statistics")
    assert stats[-1].failed_frames == 1


def test_failures_in_a_row_become_a_lasting_error(drive, faulty):
    faulty({1: RuntimeError("boom"), 2: RuntimeError("boom")})
    start(drive, perception={"max_consecutive_failures": 2})
    for index in range(2):
        drive.send_set(START_NS + index * STEP_NS)
        drive.wait_for_status("perception_planning: inference", Level.ERROR, "RuntimeError: boom")
    drive.wait_for_status("perception_planning: inference", Level.ERROR, "the last 2 sets failed: RuntimeError: boom")
    send_and_plan(drive, 2)
    drive.wait_for_status("perception_planning: inference", Level.OK, "running")


def test_a_stream_that_ends_goes_stale_and_nothing_is_published_again(drive):
    start(drive, perception={"plan_timeout_s": 0.3}, planner={"plan_timeout_s": 0.3})
    send_and_plan(drive, 0)
    drive.wait_for_status("perception_planning: plan", Level.STALE, "no set for 0.")
    drive.wait_for_status("planner: plan", Level.STALE, "no candidates for 0.")
    assert len(drive.received["planner/paths"]) == 1
    send_and_plan(drive, 1)
    drive.wait_for_status("planner: plan", Level.OK, "selected")


def test_sets_that_come_without_plans_are_an_error(drive, faulty):
    faulty(dict.fromkeys(range(1, 1000), RuntimeError("boom")))
    start(drive, perception={"plan_timeout_s": 0.3})
    frames = drive.received["sensor_sync/frame"]
    sent = 0

    def shown() -> bool:
        nonlocal sent
        if len(frames) == sent:
            drive.send_set(START_NS + sent * STEP_NS)
            sent += 1
        level, text = drive.statuses().get("perception_planning: plan", (Level.OK, ""))
        return level == Level.ERROR and text.startswith("sets come, but no plan for 0.")

    drive.spin_until(shown, "the error of the plan")


def test_an_incompatible_publisher_is_named_with_topic_and_policy(drive):
    from sensor_msgs.msg import PointCloud2

    from distilldrive_ros.nodes.running import qos

    drive.sensor_sync(sensor_reliability="reliable")
    drive.node.create_publisher(PointCloud2, "lidar/points", qos.sensor("best_effort", 1))
    text = drive.wait_for_status("sensor_sync: qos//lidar/points", Level.ERROR, "policy RELIABILITY")
    assert "subscription to /lidar/points" in text and "sensor_reliability" in text
