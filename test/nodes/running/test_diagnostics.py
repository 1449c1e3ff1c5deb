"""Diagnostics never go stale and lose no event; callbacks that fail are counted and the node lives on."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.scene.errors import SensorDataError


@pytest.fixture
def node(ros_context):
    import rclpy

    made = rclpy.create_node("subject", context=ros_context)
    yield made
    made.destroy_node()


@pytest.fixture
def diagnostics(node):
    return DiagnosticsPublisher(node, 60.0)


def test_an_event_is_shown_once_and_then_the_state_again(diagnostics):
    diagnostics.set("camera", Level.OK, "12.0 Hz", rate=12.0)
    diagnostics.event("camera", Level.WARN, "cut off")
    assert diagnostics.report()["camera"] == (Level.WARN, "cut off", {"rate": "12.000"})
    diagnostics.publish()
    assert diagnostics.report()["camera"][:2] == (Level.OK, "12.0 Hz")


def test_the_worst_and_latest_event_wins_and_they_are_counted(diagnostics):
    for level, text in ((Level.ERROR, "first"), (Level.WARN, "mild"), (Level.ERROR, "last")):
        diagnostics.event("x", level, text)
    assert diagnostics.report()["x"][:2] == (Level.ERROR, "last (3 times)")


def test_a_worse_state_is_not_hidden_by_an_event(diagnostics):
    diagnostics.set("x", Level.ERROR, "dead")
    diagnostics.event("x", Level.WARN, "odd")
    assert diagnostics.report()["x"][:2] == (Level.ERROR, "dead")


def test_counters_stay(diagnostics):
    assert [diagnostics.count("x", "refused") for _ in range(3)] == [1, 2, 3]
    diagnostics.publish()
    assert diagnostics.report()["x"][2] == {"refused": "3"}


def test_a_failing_refresh_is_reported_and_the_report_is_sent(node):
    def broken():
        raise RuntimeError("boom")

    diagnostics = DiagnosticsPublisher(node, 60.0, broken)
    sent = []
    diagnostics._publisher.publish = sent.append
    diagnostics.publish()
    assert [(s.name, s.level, s.message) for s in sent[0].status] == [
        ("subject: node", b"\x02", "diagnostics failed: RuntimeError: boom")
    ]


def test_the_guard_catches_counts_and_logs_once_per_type(node, diagnostics, capfd):
    guard = CallbackGuard(node, diagnostics)

    def callback(kind):
        raise kind("what happened")

    guarded = guard.wrap("camera", callback)
    for _ in range(3):
        assert guarded(ValueError) is None
    guarded(SensorDataError)
    shown = diagnostics.report()["camera"]
    assert shown == (Level.ERROR, "ValueError: what happened (4 times)", {"failures": "3", "refused": "1"})
    log = capfd.readouterr().err
    assert log.count("Traceback") == 1 and log.count("said once") == 2


def test_a_guarded_callback_returns_what_it_returns(node, diagnostics):
    assert CallbackGuard(node, diagnostics).wrap("x", lambda a, b=2: a + b)(1, b=5) == 6
