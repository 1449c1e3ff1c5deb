"""A model with more to tell than a plan: candidates' sub-scores in the diagnostics, what it sees as a picture."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.nodes.running.diagnostics import Level


@pytest.fixture
def perception(drive):
    """The node with the small network, active; afterwards its threads are gone again."""
    node = drive.perception_planning(model="diffusiondrive_tiny", device="cpu", max_frame_age_s=0.0, threads=1)
    drive.spin_until(lambda: node.active, "autostart", 60.0)
    drive.perception = node
    yield node
    node.trigger_deactivate()
    node.trigger_cleanup()
    drive.spin_until(lambda: not any(t.name.startswith("image") for t in threading.enumerate()), "end of its threads")


def collected(drive, kind, topic):
    """A list that fills with the messages of a topic, once the node's publisher is matched."""
    found = []
    drive.subscriber = drive.perception.create_subscription(kind, topic, found.append, 5)
    drive.spin_until(lambda: drive.perception.count_subscribers(topic) > 0, topic)
    return found


def test_sub_scores_and_bird_view_go_out(drive, perception):
    from sensor_msgs.msg import Image

    import distilldrive_ros.msg as msg

    pictures = collected(drive, Image, "perception_planning/bird_view")
    candidates = collected(drive, msg.TrajectoryCandidates, "perception_planning/candidates")
    frame = next(sensor_frames(np.random.default_rng(0)))
    perception.accept_frame(frame)
    drive.spin_until(lambda: pictures and candidates, "picture and candidates", 60.0)
    picture, plan = pictures[0], candidates[0]
    assert (picture.width, picture.height, picture.encoding, picture.step) == (128, 64, "rgb8", 384)
    assert len(picture.data) == 128 * 64 * 3 and picture.header == plan.header
    assert plan.num_candidates == 16 and plan.num_steps == 8
    level, message, values = perception._diagnostics.report()["candidates"]
    assert level is Level.OK and message == "16 scored"
    assert list(values) == [f"candidate {rank:02d}" for rank in range(1, 17)]
    assert values["candidate 01"].startswith(f"mode {plan.mode[0]}: ")
    assert all(name in values["candidate 16"] for name in ("NC", "DAC", "TTC", "EP", "C"))


def test_a_set_without_lidar_is_reported_and_the_next_one_planned(drive, perception):
    import distilldrive_ros.msg as msg

    candidates = collected(drive, msg.TrajectoryCandidates, "perception_planning/candidates")
    source = sensor_frames(np.random.default_rng(0))
    perception.accept_frame(replace(next(source), lidar=None))
    drive.spin_until(lambda: "LiDAR sweep is missing" in perception._health._last_failure, "the failure", 60.0)
    perception.accept_frame(next(source))
    drive.spin_until(lambda: candidates, "candidates", 60.0)
    assert len(candidates) == 1
