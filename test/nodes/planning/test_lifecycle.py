"""Lifecycle of `perception_planning`: nothing leaks from one activation to the next, failures say why."""

from __future__ import annotations

import gc
import threading
from importlib import import_module

from rclpy.lifecycle import TransitionCallbackReturn
from std_srvs.srv import Trigger

from distilldrive_ros.nodes.running.diagnostics import Level

conftest = import_module("test.nodes.conftest")
START_NS, STEP_NS = conftest.START_NS, conftest.STEP_NS
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def state_of(node):
    return node._state_machine.current_state[1]


def plan_one_set(drive, node, round_number):
    """Send sets until one is planned: while discovery is under way, some are lost."""
    frames, candidates = drive.received["sensor_sync/frame"], drive.received["perception_planning/candidates"]
    planned, synchronised, sent = len(candidates), len(frames), 0

    def done() -> bool:
        nonlocal sent
        if len(frames) == synchronised + sent:
            drive.send_set(START_NS + (round_number * 1000 + sent) * STEP_NS)
            sent += 1
        return len(candidates) > planned

    drive.spin_until(done, f"a plan in round {round_number}")


def test_ten_rounds_of_configure_activate_deactivate_cleanup_leave_nothing_behind(drive):
    sync_publisher = drive.sensor_sync()
    node = drive.perception_planning(autostart=False)
    drive.connect()
    topic = node.resolve_topic_name("sensor_sync/frame")
    listening = drive.node.count_subscribers(topic)
    threads = threading.active_count()
    for index in range(10):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        assert threading.active_count() == threads + 1
        drive.spin_until(
            lambda: sync_publisher.count_subscribers(topic) == listening + 1, "the subscription of this round"
        )
        drive.spin_until(lambda: drive.node.count_publishers("perception_planning/candidates") == 1, "the publisher")
        plan_one_set(drive, node, index)
        assert node.trigger_deactivate() == SUCCESS
        assert threading.active_count() == threads
        assert node.trigger_cleanup() == SUCCESS
        drive.spin_until(
            lambda: drive.node.count_publishers("perception_planning/candidates") == 0, "no publisher left"
        )
    assert gc.get_freeze_count() == 0
    assert state_of(node) == "unconfigured"


def test_a_model_that_cannot_be_loaded_fails_configure_and_says_why_until_it_can(drive):
    from rclpy.parameter import Parameter

    node = drive.perception_planning(weights="/nowhere/weights.pth")
    text = drive.wait_for_status("perception_planning: model", Level.ERROR, "model constant_velocity cannot be loaded")
    assert "takes no weights" in text
    assert state_of(node) == "unconfigured" and not node.active
    assert node.set_parameters([Parameter("weights", value="")])[0].successful
    assert node.trigger_configure() == SUCCESS and node.trigger_activate() == SUCCESS
    drive.received["/diagnostics"].clear()
    drive.wait_for_status("perception_planning: model", Level.OK, "ready")


def test_a_failed_configure_can_be_repeated(drive):
    node = drive.perception_planning(weights="/nowhere/weights.pth", autostart=False)
    assert [node.trigger_configure() for _ in range(2)] == [FAILURE, FAILURE]


def test_sets_are_ignored_while_inactive(drive):
    drive.sensor_sync()
    node = drive.perception_planning(autostart=False)
    drive.connect()
    assert node.trigger_configure() == SUCCESS
    drive.send_set(START_NS)
    drive.spin_until(lambda: bool(drive.received["sensor_sync/frame"]), "the set")
    drive.wait_for_status("perception_planning: plan", Level.OK, "not active")
    assert not drive.received["perception_planning/candidates"]


def test_the_newest_set_wins_and_the_loss_is_counted(drive, monkeypatch):
    from distilldrive_ros.nodes.planning import perception_planning_node

    release, entered = threading.Event(), threading.Event()
    real = perception_planning_node.load_model

    class Slow:
        def __init__(self, model):
            self._model = model

        def __getattr__(self, name):
            return getattr(self._model, name)

        def prepare(self, frame):
            entered.set()
            release.wait(20.0)
            return self._model.prepare(frame)

    monkeypatch.setattr(perception_planning_node, "load_model", lambda name, request: Slow(real(name, request)))
    drive.sensor_sync()
    node = drive.perception_planning()
    drive.spin_until(lambda: node.active, "autostart")
    drive.connect()
    drive.send_set(START_NS)
    drive.spin_until(entered.is_set, "the first set to be worked on")
    for index in (1, 2, 3):
        drive.send_set(START_NS + index * STEP_NS)
        drive.spin_until(lambda index=index: len(drive.received["sensor_sync/frame"]) == index + 1, f"set {index}")
        drive.spin_until(lambda index=index: node._worker.accepted == index + 1, f"set {index} at the worker")
    release.set()
    stats = drive.received["perception_planning/stats"]
    drive.spin_until(lambda: len(stats) == 2, "two plans of four sets")
    planned = [s.header.stamp.sec * 1_000_000_000 + s.header.stamp.nanosec for s in stats]
    assert planned == [START_NS, START_NS + 3 * STEP_NS]
    assert stats[-1].dropped_frames == 2


def test_the_reset_service_drops_the_temporal_state(drive):
    drive.sensor_sync()
    node = drive.perception_planning(model="ctra")
    drive.spin_until(lambda: node.active, "autostart")
    drive.connect()
    stats = drive.received["perception_planning/stats"]
    for index in range(2):
        drive.send_set(START_NS + index * STEP_NS)
        drive.spin_until(lambda index=index: len(stats) == index + 1, f"plan {index}")
    client = drive.node.create_client(Trigger, "perception_planning/reset")
    drive.spin_until(client.service_is_ready, "the service")
    future = client.call_async(Trigger.Request())
    drive.spin_until(future.done, "the answer")
    assert future.result().success
    drive.send_set(START_NS + 2 * STEP_NS)
    drive.spin_until(lambda: len(stats) == 3, "the plan after the reset")
    assert [s.state_resets for s in stats] == [0, 0, 1]
    candidates = drive.received["perception_planning/candidates"]
    drive.spin_until(lambda: len(candidates) == 3, "the candidates")
    assert [bool(c.degraded & 32) for c in candidates] == [True, False, True], "NO_HISTORY"
