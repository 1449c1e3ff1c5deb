"""nuScenes to rosbag2: everything in the bag equals its source, and what a user may do wrong."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from distilldrive_ros.bags import mcap_storage
from distilldrive_ros.bags.convert import SIDE_FILE, convert_scene
from distilldrive_ros.bags.ground_truth import read_ground_truth
from distilldrive_ros.bags.qos import LATCHED_QOS
from distilldrive_ros.bags.reader import open_bag
from distilldrive_ros.datasets.map_expansion import open_map
from distilldrive_ros.datasets.map_region import map_region
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.geometry.boxes import box_corners
from distilldrive_ros.geometry.cameras import project_points
from distilldrive_ros.geometry.poses import inverse, pose_matrix
from distilldrive_ros.scene.command import Command

CAMERAS = ("CAM_BACK", "CAM_FRONT")


def stamp_ns(header) -> int:
    return header.stamp.sec * 10**9 + header.stamp.nanosec


def matrix(transform) -> np.ndarray:
    t, q = transform.translation, transform.rotation
    return pose_matrix([t.x, t.y, t.z], [q.w, q.x, q.y, q.z])


def messages_of(bag: Path, topic: str) -> list:
    with open_bag(bag) as reader:
        return [reader.deserialize(m) for m in reader.messages(topics=[topic])]


def rows_of(root, channel: str, scene: str = "scene-0001") -> list[dict]:
    rows = [r for r in root.tables["sample_data"] if r["calibrated_sensor_token"] == f"c-{channel}"]
    return sorted([r for r in rows if r["sample_token"].startswith(scene)], key=lambda r: r["timestamp"])


def scene_of(tiny, root, name="scene-0001"):
    nuscenes = NuScenes(root.path, tiny.VERSION)
    return nuscenes, nuscenes.scene(name)


@pytest.mark.parametrize("camera", CAMERAS)
def test_images_and_intrinsics_equal_their_files(tiny, converted, camera):
    root, bag = converted
    images = messages_of(bag, f"/camera/{camera}/image/compressed")
    infos = messages_of(bag, f"/camera/{camera}/camera_info")
    rows = rows_of(root, camera)
    assert len(rows) == len(images) == len(infos) == 29
    for row, image, info in zip(rows, images, infos, strict=True):
        assert image.data.tobytes() == (root.path / row["filename"]).read_bytes()
        assert image.format == "jpeg" and image.header.frame_id == info.header.frame_id == f"{camera}_optical"
        assert stamp_ns(image.header) == stamp_ns(info.header) == 1000 * row["timestamp"]
        assert (info.width, info.height) == (tiny.WIDTH, tiny.HEIGHT)
        k = np.array(root.row("calibrated_sensor", f"c-{camera}")["camera_intrinsic"])
        assert np.array_equal(info.k.reshape(3, 3), k) and np.array_equal(info.p.reshape(3, 4)[:, :3], k)
        assert not info.d.any() and info.distortion_model == "plumb_bob"


def test_points_equal_their_files(converted):
    root, bag = converted
    clouds = messages_of(bag, "/lidar/points")
    rows = rows_of(root, "LIDAR_TOP")
    assert len(clouds) == len(rows) == 29
    kinds = {2: np.uint8, 4: np.uint16, 7: np.float32}
    for row, cloud in zip(rows, clouds, strict=True):
        source = np.fromfile(root.path / row["filename"], np.float32).reshape(-1, 5)
        fields = {f.name: (kinds[f.datatype], f.offset) for f in cloud.fields}
        assert list(fields) == ["x", "y", "z", "intensity", "ring"] and fields["ring"][0] == np.uint16
        names, (formats, offsets) = list(fields), zip(*fields.values(), strict=True)
        layout = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": cloud.point_step})
        points = np.frombuffer(cloud.data.tobytes(), layout)
        for column, name in enumerate(names):
            assert np.array_equal(points[name], source[:, column])
        assert (cloud.width, cloud.height, cloud.row_step) == (len(source), 1, cloud.point_step * len(source))
        assert cloud.is_dense and not cloud.is_bigendian
        assert stamp_ns(cloud.header) == 1000 * row["timestamp"] and cloud.header.frame_id == "LIDAR_TOP"


@pytest.mark.parametrize("reserve", [0, 1500, 2**20])
def test_memory_that_is_used_again_mixes_nothing_up(tiny, tiny_root, tmp_path, monkeypatch, reserve):
    """Many small chunks: images and points that share the chunk's memory, or do not fit into it, stay whole."""
    monkeypatch.setattr(mcap_storage, "CHUNK_BYTES", 3000)
    monkeypatch.setattr(mcap_storage, "RESERVE_BYTES", reserve)
    convert_scene(*scene_of(tiny, tiny_root), tmp_path / "bag")
    for camera in CAMERAS:
        images = messages_of(tmp_path / "bag", f"/camera/{camera}/image/compressed")
        for row, image in zip(rows_of(tiny_root, camera), images, strict=True):
            assert image.data.tobytes() == (tiny_root.path / row["filename"]).read_bytes()
    clouds = messages_of(tmp_path / "bag", "/lidar/points")
    for row, cloud in zip(rows_of(tiny_root, "LIDAR_TOP"), clouds, strict=True):
        points = np.frombuffer(cloud.data.tobytes(), np.float32).reshape(-1, 5)
        source = np.fromfile(tiny_root.path / row["filename"], np.float32).reshape(-1, 5)
        assert np.array_equal(points[:, :4], source[:, :4])


def test_clouds_with_nan_are_marked(tiny, tiny_root, tmp_path):
    path = tiny_root.file_of("scene-0002-k0-LIDAR_TOP")
    points = np.fromfile(path, np.float32).reshape(-1, 5)
    points[3, 1] = np.nan
    path.write_bytes(points.tobytes())
    convert_scene(*scene_of(tiny, tiny_root, "scene-0002"), tmp_path / "bag")
    (cloud,) = messages_of(tmp_path / "bag", "/lidar/points")
    assert not cloud.is_dense


def test_static_transforms_equal_the_calibration(converted):
    root, bag = converted
    (message,) = messages_of(bag, "/tf_static")
    found = {t.child_frame_id: t for t in message.transforms}
    assert set(found) == {"odom", "CAM_BACK_optical", "CAM_FRONT_optical", "LIDAR_TOP"}
    assert found["odom"].header.frame_id == "map" and np.array_equal(matrix(found["odom"].transform), np.eye(4))
    for frame in set(found) - {"odom"}:
        row = root.row("calibrated_sensor", f"c-{frame.replace('_optical', '')}")
        assert found[frame].header.frame_id == "base_link"
        expected = pose_matrix(row["translation"], row["rotation"])
        assert matrix(found[frame].transform) == pytest.approx(expected, abs=1e-15)
    with open_bag(bag) as reader:
        assert reader.topics["/tf_static"].qos == LATCHED_QOS
        (latched,) = (m for m in reader.latched() if m.topic == "/tf_static")
        assert latched.stamp_ns == reader.start_ns


def test_pose_and_velocity_at_every_sensor_stamp(tiny, converted):
    root, bag = converted
    odometry, transforms = messages_of(bag, "/odometry"), messages_of(bag, "/tf")
    poses = {}
    for channel in (*CAMERAS, "LIDAR_TOP"):
        for row in rows_of(root, channel):
            poses[1000 * row["timestamp"]] = root.row("ego_pose", row["ego_pose_token"])
    assert [stamp_ns(o.header) for o in odometry] == sorted(poses)
    for o, t in zip(odometry, transforms, strict=True):
        row = poses[stamp_ns(o.header)]
        expected = pose_matrix(row["translation"], row["rotation"])
        (moved,) = t.transforms
        assert (moved.header.frame_id, moved.child_frame_id) == ("odom", "base_link")
        assert (o.header.frame_id, o.child_frame_id) == ("odom", "base_link")
        assert stamp_ns(moved.header) == stamp_ns(o.header)
        assert matrix(moved.transform) == pytest.approx(expected, abs=1e-12)
        p, q = o.pose.pose.position, o.pose.pose.orientation
        assert pose_matrix([p.x, p.y, p.z], [q.w, q.x, q.y, q.z]) == pytest.approx(expected, abs=1e-12)
        twist = o.twist.twist
        assert (twist.linear.x, twist.angular.z) == pytest.approx((tiny.SPEED, tiny.YAW_RATE), abs=0.02)
        assert abs(twist.linear.y) < 0.05 and not o.twist.covariance.any()


def test_log_time_is_header_stamp_and_rises(converted):
    _, bag = converted
    with open_bag(bag) as reader:
        last = 0
        for message in reader.messages():
            content = reader.deserialize(message)
            header = content.transforms[0].header if message.topic.startswith("/tf") else content.header
            assert stamp_ns(header) == message.stamp_ns >= last
            last = message.stamp_ns


def test_pose_and_truth_come_before_the_anchor_of_equal_stamp(converted):
    """Whoever acts on the LiDAR message has all else of that instant already."""
    _, bag = converted
    order = defaultdict(list)
    with open_bag(bag) as reader:
        for message in reader.messages():
            order[message.stamp_ns].append(message.topic)
    key_frames = [topics for topics in order.values() if "/sample_info" in topics]
    assert len(key_frames) == 15
    for topics in key_frames:
        assert topics[-1] == "/lidar/points" and {"/tf", "/odometry", "/command", "/ground_truth/objects"} < set(topics)


def test_metadata_and_side_file(tiny, converted):
    _, bag = converted
    meta = yaml.safe_load((bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert meta["version"] == 8 and meta["custom_data"]["scene_token"] == "token-scene-0001"
    report = json.loads((bag / SIDE_FILE).read_text())
    assert (report["scene_name"], report["location"], report["key_frames"]) == ("scene-0001", tiny.PLACE, 15)
    assert report["messages"] == {
        t["topic_metadata"]["name"]: t["message_count"] for t in meta["topics_with_message_count"]
    }
    assert report["left_out_boxes"] == {"animal": 15} and report["left_out_sensors"] == {"RADAR_FRONT": 29}
    assert report["missing"] == {} and report["short_commands"] == 6


def test_key_frames_tokens_and_commands(tiny, converted):
    root, bag = converted
    truth = read_ground_truth(bag)
    samples = [s for s in root.tables["sample"] if s["scene_token"] == "token-scene-0001"]
    assert [t.sample.sample_token for t in truth] == [s["token"] for s in samples]
    assert [t.stamp_ns for t in truth] == [1000 * s["timestamp"] for s in samples]
    for index, key_frame in enumerate(truth):
        sample = key_frame.sample
        assert (sample.sample_index, sample.dataset, sample.scene_token) == (index, tiny.VERSION, "token-scene-0001")
        assert sample.description == "what happens in scene-0001" and sample.frame_id == "base_link"
    # A left-hand circle: 0.6 rad and 5 m to the left within 3 s; at the end, too little is left of the scene.
    assert [t.command.command for t in truth[:9]] == [Command.LEFT] * 9
    assert truth[-1].command.command == Command.STRAIGHT


def test_boxes_and_futures_in_base_link(tiny, converted):
    root, bag = converted
    nuscenes, scene = scene_of(tiny, root)
    samples = nuscenes.samples(scene)
    for sample, key_frame in zip(samples, read_ground_truth(bag), strict=True):
        place, yaw = tiny.ego_at((sample.stamp_ns // 1000 - tiny.START_US) / 1e6)
        base_from_world = inverse(pose_matrix(place, tiny.yaw_quaternion(yaw)))
        annotations = {a.instance_index: a for a in nuscenes.annotations(sample) if a.class_name}
        assert {o.id for o in key_frame.objects.objects} == set(annotations)
        for found in key_frame.objects.objects:
            true = annotations[found.id]
            assert (found.class_id, found.score) == (true.class_name, 1.0)
            centre = base_from_world[:3, :3] @ true.translation + base_from_world[:3, 3]
            assert found.box[:3] == pytest.approx(centre, abs=1e-9) and found.size == pytest.approx(true.size)
            heading = 2 * math.atan2(true.rotation[3], true.rotation[0]) - yaw
            assert math.remainder(found.box[6] - heading, 2 * math.pi) == pytest.approx(0, abs=1e-9)
            assert found.velocity == pytest.approx((base_from_world[:3, :3] @ true.velocity)[:2], abs=1e-9)
            assert found.mode_xy.shape == (1, 12, 2) and found.time_step == 0.5
            if found.class_id == "car":
                steps = min(12, int((samples[-1].stamp_ns - sample.stamp_ns + 10**6) // (5 * 10**8)))
                assert np.isnan(found.mode_xy[0, steps:]).all()
                ahead = true.translation + np.outer(0.5 * np.arange(1, steps + 1), [*tiny.CAR_VELOCITY, 0])
                expected = (ahead @ base_from_world[:3, :3].T + base_from_world[:3, 3])[:, :2]
                # The last step may lie up to 1 ms beyond the track's end, where the object is held: 3 mm.
                assert found.mode_xy[0, :steps] == pytest.approx(expected, abs=4e-3)


def test_ego_path_in_base_link(tiny, converted):
    _, bag = converted
    for key_frame in read_ground_truth(bag):
        path = key_frame.path
        assert (np.diff([key_frame.stamp_ns, *path.stamps_ns]) == 5 * 10**8).all()
        radius = tiny.SPEED / tiny.YAW_RATE
        turned = tiny.YAW_RATE * 0.5 * np.arange(1, len(path.positions) + 1)
        expected = radius * np.stack([np.sin(turned), 1 - np.cos(turned)], axis=1).reshape(-1, 2)
        # Chords between poses 0.25 s apart: 1 cm.
        assert path.positions == pytest.approx(expected, abs=0.02) and path.yaw == pytest.approx(turned, abs=1e-3)
    assert len(read_ground_truth(bag)[0].path.positions) == 12 and len(path.positions) == 0


def test_map_equals_the_reader(tiny, converted):
    root, bag = converted
    expansion = open_map(root.path, tiny.PLACE)
    lidar = NuScenes(root.path, tiny.VERSION).calibrated_sensor("c-LIDAR_TOP").base_from_sensor
    for key_frame in read_ground_truth(bag):
        place, yaw = tiny.ego_at((key_frame.stamp_ns // 1000 - tiny.START_US) / 1e6)
        expected = map_region(expansion, pose_matrix(place, tiny.yaw_quaternion(yaw)), lidar)
        found = key_frame.vector_map.polylines
        assert [p.kind for p in found] == [p.kind for p in expected] and len(found) >= 3
        for a, b in zip(found, expected, strict=True):
            assert a.xy == pytest.approx(b.xy, abs=1e-3)


def test_boxes_project_to_the_same_pixels_by_both_ways(shared_dir: Path, tmp_path):
    """nuScenes: box in the world, ego pose and calibration of the camera. Bag: box in base_link at the LiDAR's stamp,
    transforms of both stamps, static transform. Real sample, with the roll and pitch that the made-up data lacks."""
    nuscenes = NuScenes(shared_dir / "data" / "nuscenes-sample", "v1.0-mini")
    scene = nuscenes.scenes[0]
    convert_scene(nuscenes, scene, tmp_path / "bag")
    (sample,) = nuscenes.samples(scene)
    annotations = {a.instance_index: a for a in nuscenes.annotations(sample) if a.class_name}
    mounts = {t.child_frame_id: matrix(t.transform) for t in messages_of(tmp_path / "bag", "/tf_static")[0].transforms}
    moving = [m.transforms[0] for m in messages_of(tmp_path / "bag", "/tf")]
    world_from_base = {stamp_ns(t.header): matrix(t.transform) for t in moving}
    (truth,) = messages_of(tmp_path / "bag", "/ground_truth/objects")
    inside = 0
    for data in nuscenes.sample_data(scene):
        if data.modality != "camera":
            continue
        calibration = nuscenes.calibrated_sensor(data.calibrated_sensor_token)
        pose = nuscenes.ego_pose(data.ego_pose_token)
        camera_from_world = inverse(pose.world_from_base @ calibration.base_from_sensor)
        (info,) = messages_of(tmp_path / "bag", f"/camera/{data.channel}/camera_info")
        base_from_camera = mounts[f"{data.channel}_optical"]
        camera_from_world_by_bag = inverse(world_from_base[data.stamp_ns] @ base_from_camera)
        camera_from_base = camera_from_world_by_bag @ world_from_base[stamp_ns(truth.header)]
        for found in truth.objects:
            true = annotations[found.id]
            corners = box_corners([0, 0, 0, *true.size, 0])[0]
            p, q = found.pose.position, found.pose.orientation
            base_from_box = pose_matrix([p.x, p.y, p.z], [q.w, q.x, q.y, q.z])
            one, depth = project_points(calibration.intrinsics, camera_from_world @ true.world_from_box, corners)
            two, _ = project_points(info.k.reshape(3, 3), camera_from_base @ base_from_box, corners)
            if (depth < 2).any():
                continue
            assert two == pytest.approx(one, abs=1e-5)
            if (one >= 0).all() and (one < [data.width, data.height]).all():
                inside += 1
    assert inside > 40
