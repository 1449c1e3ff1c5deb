"""The whole way over real rclpy and Fast DDS: sensor messages in, checked paths out."""

from __future__ import annotations

import numpy as np

from distilldrive_ros.messages.fields import stamp_ns

START_NS = 1_532_402_927_600_000_000
STEP_NS = 500_000_000
SPEED = 8.0


def start(drive, **perception):
    drive.sensor_sync()
    node = drive.perception_planning(**perception)
    drive.planner()
    drive.spin_until(lambda: node.active, "autostart")
    drive.connect()
    return node


def run_sets(drive, count, first_ns=START_NS, **arguments):
    """Send sets one after the other, each when the plan of the one before is there."""
    paths = drive.received["planner/paths"]
    for index in range(count):
        before = len(paths)
        drive.send_set(first_ns + index * STEP_NS, **arguments)
        drive.spin_until(lambda before=before: len(paths) > before, f"the plan of set {index}")
    return paths


def test_sensor_messages_become_a_path_at_the_anchor_stamp(drive):
    start(drive)
    paths = run_sets(drive, 3)
    assert [stamp_ns(p.header.stamp) for p in paths] == [START_NS + i * STEP_NS for i in range(3)]
    plan = paths[-1]
    assert plan.header.frame_id == "base_link"
    assert plan.model_id == "constant_velocity@rule"
    assert plan.selected == 0
    chosen = plan.paths[0].poses
    # Constant velocity: straight on, each pose stamped with the time at which it is reached.
    np.testing.assert_allclose([p.pose.position.x for p in chosen], SPEED * 0.5 * np.arange(1, 7), atol=1e-3)
    assert stamp_ns(chosen[1].header.stamp) - stamp_ns(plan.header.stamp) == 1_000_000_000
    drive.spin_until(lambda: len(drive.received["planner/path"]) == 3, "the selected paths")
    drive.spin_until(lambda: len(drive.received["planner/candidate_0"]) == 3, "the best candidates")
    assert drive.received["planner/path"][-1] == plan.paths[0]


def test_the_set_keeps_stamps_poses_and_data_of_every_sensor(drive):
    start(drive)
    run_sets(drive, 1)
    frames = drive.received["sensor_sync/frame"]
    drive.spin_until(lambda: bool(frames), "the set")
    frame = frames[0]
    assert [c.name for c in frame.cameras] == ["CAM_FRONT", "CAM_BACK"]
    assert stamp_ns(frame.cameras[0].stamp) == START_NS - 36_000_000
    assert frame.cameras[0].encoding == "jpeg" and (frame.cameras[0].width, frame.cameras[0].height) == (64, 36)
    # The camera's own ego pose: 36 ms earlier at 8 m/s.
    assert frame.cameras[0].world_from_base[3] == np.float64(-0.288) or np.isclose(
        frame.cameras[0].world_from_base[3], -0.288, atol=1e-6
    )
    np.testing.assert_allclose(frame.cameras[0].base_from_camera.reshape(4, 4)[:3, 2], [1, 0, 0], atol=1e-9)
    assert frame.lidar[0].num_points == 4
    np.testing.assert_allclose(np.reshape(frame.lidar[0].points, (4, 5))[:, 4], range(4))
    assert frame.ego.speed == SPEED


def test_every_stage_and_counter_is_in_the_statistics(drive):
    start(drive)
    run_sets(drive, 2)
    stats = drive.received["perception_planning/stats"]
    drive.spin_until(lambda: len(stats) == 2, "the statistics")
    assert stats[0].stages[0] == "queue" and stats[0].stages[-1] == "publish"
    assert len(stats[0].stage_seconds) == len(stats[0].stages)
    assert stats[1].total_seconds >= max(stats[1].stage_seconds)
    assert (stats[1].dropped_frames, stats[1].failed_frames) == (0, 0)
    assert np.isnan(stats[1].sensor_age_seconds), "the stamps are of 2018, our clock is not"


def test_only_key_frames_are_planned_even_where_they_are_announced_late(drive):
    from distilldrive_ros import msg
    from distilldrive_ros.nodes.conversions.factory import ROS

    sync = drive.sensor_sync(key_frames_only=True, wait_timeout_ms=10_000.0)
    node = drive.perception_planning()
    drive.planner()
    drive.spin_until(lambda: node.active, "autostart")
    drive.connect()
    counters = sync._synchronizer.counters
    for index in range(3):
        drive.send_set(START_NS + index * STEP_NS)
    drive.spin_until(lambda: sync._synchronizer.counters.emitted == counters.emitted + 3, "three sets")
    assert not drive.received["planner/paths"]
    paths = drive.received["planner/paths"]
    for planned, index in enumerate((0, 2), start=1):
        header = ROS.header(START_NS + index * STEP_NS, "base_link")
        drive.publishers["sample_info"].publish(msg.SampleInfo(header=header, scene_token="scene"))
        # One after the other: the worker takes the newest set only.
        drive.spin_until(lambda planned=planned: len(paths) == planned, f"plan {planned}")
    assert [stamp_ns(p.header.stamp) for p in paths] == [START_NS, START_NS + 2 * STEP_NS]
