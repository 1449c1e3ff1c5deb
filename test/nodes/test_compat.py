"""ROS's own packages and our stand-ins behave alike: the same tests run on both where both are there."""

from __future__ import annotations

import importlib
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed")


def implementations(name):
    """Our stand-in, and the real package where it is installed and works."""
    found = [pytest.param(importlib.import_module(f"distilldrive_ros.nodes.compat.stand_ins.{name}"), id="stand-in")]
    try:
        real = importlib.import_module(name)
        if name == "cv_bridge":
            real.CvBridge()
        found.append(pytest.param(real, id="ros"))
    except ImportError:
        found.append(pytest.param(None, id="ros", marks=pytest.mark.skip(reason=f"ROS's {name} is not installed")))
    return found


def stamped(nanoseconds, text=""):
    from distilldrive_ros.nodes.conversions.factory import ROS

    return SimpleNamespace(header=ROS.header(nanoseconds, text), text=text)


@pytest.mark.parametrize("package", implementations("message_filters"))
class TestMessageFilters:
    def make(self, package, inputs=3, queue=3):
        filters = [package.SimpleFilter() for _ in range(inputs)]
        sets = []
        package.TimeSynchronizer(filters, queue).registerCallback(lambda *messages: sets.append(messages))
        return filters, sets

    def test_equal_stamps_make_a_set_whatever_the_order(self, package):
        (a, b, c), sets = self.make(package)
        b.signalMessage(stamped(2, "b2"))
        a.signalMessage(stamped(1, "a1"))
        c.signalMessage(stamped(2, "c2"))
        assert sets == []
        a.signalMessage(stamped(2, "a2"))
        assert [[m.text for m in s] for s in sets] == [["a2", "b2", "c2"]]

    def test_the_queue_forgets_its_oldest_stamps(self, package):
        (a, b), sets = self.make(package, inputs=2, queue=3)
        for stamp in range(5):
            a.signalMessage(stamped(stamp))
        for stamp in range(5):
            b.signalMessage(stamped(stamp))
        assert [s[0].header.stamp.nanosec for s in sets] == [2, 3, 4]

    def test_further_arguments_follow_the_messages(self, package):
        seen = []
        source = package.SimpleFilter()
        source.registerCallback(lambda *got: seen.append(got), "x", 1)
        source.signalMessage("m")
        assert seen == [("m", "x", 1)]

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), max_size=60))
    def test_against_a_plain_model_of_the_rule(self, package, arrivals):
        filters, sets = self.make(package, queue=4)
        queues, expected = [{}, {}, {}], []
        for number, (which, stamp) in enumerate(arrivals):
            filters[which].signalMessage(stamped(stamp, str(number)))
            queues[which][stamp] = str(number)
            while len(queues[which]) > 4:
                del queues[which][min(queues[which])]
            for common in sorted(set(queues[0]) & set(queues[1]) & set(queues[2])):
                expected.append([q.pop(common) for q in queues])
        assert [[m.text for m in s] for s in sets] == expected

    def test_a_subscription_feeds_the_filter(self, package, ros_context):
        import time

        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from std_msgs.msg import Header

        node = rclpy.create_node("filters", context=ros_context)
        executor = SingleThreadedExecutor(context=ros_context)
        executor.add_node(node)
        source = package.Subscriber(node, Header, "headers", qos_profile=5)
        seen = []
        source.registerCallback(seen.append)
        publisher = node.create_publisher(Header, "headers", 5)
        deadline = time.monotonic() + 20
        while not seen and time.monotonic() < deadline:
            publisher.publish(Header(frame_id="x"))
            executor.spin_once(timeout_sec=0.05)
        assert seen[0].frame_id == "x" and source.getTopic() == "headers"
        executor.shutdown()
        node.destroy_node()


def test_our_synchroniser_survives_a_callback_that_raises():
    # The real one keeps its lock then; so the nodes guard their callbacks in either case.
    from distilldrive_ros.nodes.compat.stand_ins import message_filters

    sources = [message_filters.SimpleFilter() for _ in range(2)]
    synchroniser = message_filters.TimeSynchronizer(sources, 5)
    synchroniser.registerCallback(lambda *_: 1 / 0)
    sources[0].signalMessage(stamped(1))
    with pytest.raises(ZeroDivisionError):
        sources[1].signalMessage(stamped(1))
    sources[0].signalMessage(stamped(2))
    assert not synchroniser.lock.locked()


angles = st.floats(-3.1, 3.1)


@pytest.mark.parametrize("package", implementations("tf_transformations"))
class TestTransformations:
    @settings(max_examples=100, deadline=None)
    @given(angles, st.floats(-1.5, 1.5), angles)
    def test_matrix_quaternion_and_back(self, package, roll, pitch, yaw):
        cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
        rx = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
        ry = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        rz = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        m = np.eye(4)
        m[:3, :3] = rz @ ry @ rx
        q = np.asarray(package.quaternion_from_matrix(m))
        assert np.linalg.norm(q) == pytest.approx(1.0)
        np.testing.assert_allclose(package.quaternion_matrix(q), m, atol=1e-7)

    def test_the_real_part_comes_last(self, package):
        q = np.array([0.0, 0.0, math.sin(0.2), math.cos(0.2)])
        c, s = math.cos(0.4), math.sin(0.4)
        np.testing.assert_allclose(package.quaternion_matrix(q)[:2, :2], [[c, -s], [s, c]], atol=1e-12)

    def test_a_longer_quaternion_is_the_same_rotation_and_a_zero_one_is_none(self, package):
        q = np.array([0.1, 0.2, 0.3, 0.9])
        np.testing.assert_allclose(package.quaternion_matrix(3 * q), package.quaternion_matrix(q), atol=1e-12)
        np.testing.assert_allclose(package.quaternion_matrix([0, 0, 0, 0]), np.eye(4))


def transform(parent, child, x=0.0, y=0.0, yaw=0.0):
    from distilldrive_ros.geometry.poses import planar_pose
    from distilldrive_ros.nodes.conversions.poses import transform_message

    return transform_message(0, parent, child, planar_pose(x, y, yaw))


@pytest.mark.parametrize("package", implementations("tf2_ros"))
class TestTf2:
    def test_chains_up_and_down(self, package):
        from rclpy.time import Time

        from distilldrive_ros.nodes.conversions.poses import pose_matrix

        buffer = package.Buffer()
        buffer.set_transform_static(transform("base_link", "mast", 1.0, 0.0, math.pi / 2), "test")
        buffer.set_transform_static(transform("mast", "camera", 2.0), "test")
        buffer.set_transform_static(transform("base_link", "lidar", 0.0, 5.0), "test")
        found = pose_matrix(buffer.lookup_transform("base_link", "camera", Time()).transform)
        np.testing.assert_allclose(found[:2, 3], [1.0, 2.0], atol=1e-12)
        across = pose_matrix(buffer.lookup_transform("lidar", "camera", Time()).transform)
        np.testing.assert_allclose(across[:2, 3], [1.0, -3.0], atol=1e-12)
        down = pose_matrix(buffer.lookup_transform("camera", "base_link", Time()).transform)
        np.testing.assert_allclose(down @ found, np.eye(4), atol=1e-12)

    def test_what_is_not_known_is_said(self, package):
        from rclpy.time import Time

        buffer = package.Buffer()
        buffer.set_transform_static(transform("a", "b"), "test")
        buffer.set_transform_static(transform("c", "d"), "test")
        with pytest.raises(package.LookupException):
            buffer.lookup_transform("a", "nowhere", Time())
        with pytest.raises(package.ConnectivityException):
            buffer.lookup_transform("a", "d", Time())
        assert issubclass(package.LookupException, package.TransformException)
        assert buffer.can_transform("a", "b", Time()) and not buffer.can_transform("a", "d", Time())

    def test_broadcasters_send_and_the_static_one_is_heard_late(self, package, ros_context):
        import time

        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from tf2_msgs.msg import TFMessage

        from distilldrive_ros.nodes.running import qos

        node = rclpy.create_node("tf", context=ros_context)
        executor = SingleThreadedExecutor(context=ros_context)
        executor.add_node(node)
        static, moving = package.StaticTransformBroadcaster(node), package.TransformBroadcaster(node)
        static.sendTransform(transform("base_link", "a"))
        static.sendTransform([transform("base_link", "b")])
        statics, movings = [], []
        node.create_subscription(TFMessage, "/tf_static", statics.append, qos.latched())
        node.create_subscription(TFMessage, "/tf", movings.append, 10)
        deadline = time.monotonic() + 20
        while not (statics and movings) and time.monotonic() < deadline:
            moving.sendTransform(transform("odom", "base_link", 3.0))
            executor.spin_once(timeout_sec=0.05)
        assert [t.child_frame_id for t in statics[-1].transforms] == ["a", "b"]
        assert movings[0].transforms[0].transform.translation.x == 3.0
        executor.shutdown()
        node.destroy_node()


def test_our_buffer_refuses_what_is_no_transform():
    from distilldrive_ros.nodes.compat.stand_ins import tf2_ros

    bad = transform("a", "b")
    bad.transform.rotation.w = bad.transform.rotation.z = 0.0
    for message in (transform("a", "a"), transform("", "b"), bad):
        with pytest.raises(tf2_ros.InvalidArgumentException):
            tf2_ros.Buffer().set_transform_static(message, "test")


def test_our_buffer_is_not_caught_in_a_loop():
    from rclpy.time import Time

    from distilldrive_ros.nodes.compat.stand_ins import tf2_ros

    buffer = tf2_ros.Buffer()
    for parent, child in (("a", "b"), ("b", "a"), ("c", "d")):
        buffer.set_transform_static(transform(parent, child), "test")
    with pytest.raises(tf2_ros.ConnectivityException):
        buffer.lookup_transform("c", "a", Time())


@pytest.mark.parametrize("package", implementations("cv_bridge"))
class TestCvBridge:
    def picture(self, channels):
        shape = (5, 7) if channels == 1 else (5, 7, channels)
        return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)

    @pytest.mark.parametrize(("encoding", "channels"), [("rgb8", 3), ("bgr8", 3), ("mono8", 1), ("rgba8", 4)])
    def test_there_and_back(self, package, encoding, channels):
        bridge, image = package.CvBridge(), self.picture(channels)
        message = bridge.cv2_to_imgmsg(image, encoding)
        assert (message.height, message.width, message.encoding, message.step) == (5, 7, encoding, 7 * channels)
        np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message), image)

    def test_channels_are_reordered(self, package):
        bridge, image = package.CvBridge(), self.picture(3)
        message = bridge.cv2_to_imgmsg(image, "bgr8")
        np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, "rgb8"), image[:, :, ::-1])
        grey = bridge.imgmsg_to_cv2(message, "mono8").astype(float)
        luma = image.astype(float) @ [0.114, 0.587, 0.299]
        assert grey.shape == (5, 7) and np.abs(grey - luma).max() <= 0.51
        from_grey = bridge.imgmsg_to_cv2(bridge.cv2_to_imgmsg(self.picture(1), "mono8"), "rgb8")
        np.testing.assert_array_equal(from_grey, np.repeat(self.picture(1)[:, :, None], 3, 2))

    def test_padded_rows(self, package):
        import array

        from sensor_msgs.msg import Image

        rows = np.full((5, 10), 9, np.uint8)
        rows[:, :7] = self.picture(1)
        message = Image(height=5, width=7, encoding="mono8", step=10, data=array.array("B", rows.tobytes()))
        np.testing.assert_array_equal(package.CvBridge().imgmsg_to_cv2(message), self.picture(1))

    @pytest.mark.parametrize("kind", ["png", "jpg"])
    def test_compressed_images_are_bgr(self, package, kind):
        bridge = package.CvBridge()
        image = np.zeros((16, 16, 3), np.uint8)
        image[:] = (200, 100, 20)
        message = bridge.cv2_to_compressed_imgmsg(image, kind)
        assert message.format == kind
        back = bridge.compressed_imgmsg_to_cv2(message).astype(int)
        assert np.abs(back - image).max() <= (0 if kind == "png" else 3)

    def test_what_does_not_fit_is_refused(self, package):
        bridge = package.CvBridge()
        with pytest.raises(package.CvBridgeError):
            bridge.cv2_to_imgmsg(self.picture(3), "mono8")
        with pytest.raises(TypeError):
            bridge.cv2_to_imgmsg([[1, 2]], "mono8")
        message = bridge.cv2_to_imgmsg(self.picture(3), "rgb8")
        message.encoding = "nonsense"
        with pytest.raises(package.CvBridgeError):
            bridge.imgmsg_to_cv2(message)


def test_our_bridge_refuses_a_damaged_stream():
    from sensor_msgs.msg import CompressedImage

    from distilldrive_ros.nodes.compat.stand_ins import cv_bridge

    for data in (b"", b"\xff\xd8\xff\xe0 nothing"):
        with pytest.raises(cv_bridge.CvBridgeError, match="cannot be decoded"):
            cv_bridge.CvBridge().compressed_imgmsg_to_cv2(CompressedImage(data=data))


def test_the_choice_says_what_is_used():
    from distilldrive_ros.nodes import compat

    for name in ("message_filters", "tf2_ros", "cv_bridge", "tf_transformations"):
        module = getattr(compat, name)
        assert compat.SOURCES[name].startswith("stand-in" if "stand_ins" in module.__name__ else "ROS")
