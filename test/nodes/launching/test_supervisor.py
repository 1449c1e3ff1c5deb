"""Child processes: logs, restarts, exit codes and one clean end."""

from __future__ import annotations

import io
import os
import sys
import time

import pytest

from distilldrive_ros.nodes.launching.supervisor import ProcessGroup, graph_environment

WAITER = (
    "import signal, time\nsignal.signal(signal.SIGINT, lambda *_: exit(0))\nprint('up', flush=True)\ntime.sleep(60)"
)
DEAF = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"


def python(code):
    return [sys.executable, "-c", code]


def wait_for(condition, what):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_lines_are_prefixed_and_exit_codes_reported():
    output = io.StringIO()
    with ProcessGroup(output=output) as group:
        group.start("good", python("print('hello'); import sys; print('there', file=sys.stderr)"))
        assert group.wait_any(20) == ("good", 0)
        group.start("bad", python("raise SystemExit(3)"))
        assert group.wait_any(20) == ("bad", 3)
        assert group.wait_any(0.01) is None
    assert "[good] hello\n" in output.getvalue() and "[good] there\n" in output.getvalue()


def test_stop_ends_everything_with_sigint():
    output = io.StringIO()
    group = ProcessGroup(output=output)
    for name in ("a", "b"):
        group.start(name, python(WAITER))
    wait_for(lambda: output.getvalue().count("up") == 2, "both to be up")
    assert group.running() == ("a", "b")
    assert group.stop(10) == {"a": 0, "b": 0}
    assert group.running() == ()


def test_a_process_that_ignores_sigint_is_ended_all_the_same():
    output = io.StringIO()
    group = ProcessGroup(output=output)
    group.start("deaf", python(DEAF))
    wait_for(lambda: "up" in output.getvalue(), "it to be up")
    assert group.stop(0.2) == {"deaf": -15}
    assert "[deaf] still runs" in output.getvalue()


def test_a_dead_process_is_started_again_and_a_finished_one_is_not():
    with ProcessGroup(output=io.StringIO()) as group:
        group.start("dies", python("raise SystemExit(1)"), respawn_delay_s=0.0)
        group.start("ends", python("pass"), respawn_delay_s=0.0)
        assert group.wait_any(20) == ("ends", 0)
        wait_for(lambda: group.restarts("dies") >= 2, "two restarts")
        assert group.restarts("ends") == 0


def test_a_name_is_used_once_at_a_time():
    with ProcessGroup(output=io.StringIO()) as group:
        group.start("a", python(WAITER))
        with pytest.raises(ValueError, match="runs already"):
            group.start("a", python(WAITER))


def test_children_have_their_own_process_group():
    # So that Ctrl-C in a terminal reaches the supervisor alone, which ends them in order.
    with ProcessGroup(output=io.StringIO()) as group:
        pid = group.start("a", python(WAITER))
        assert os.getpgid(pid) == pid != os.getpgid(0)


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [("", "FASTDDS_DEFAULT_PROFILES_FILE"), ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
     ("humble", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE")],
)  # fmt: skip
def test_the_fast_dds_profile_is_set_where_the_user_set_none(distribution, variable):
    environment = graph_environment({"ROS_DISTRO": distribution, "X": "1"})
    assert environment.pop(variable).endswith("fastdds_shm.xml")
    assert environment == {"ROS_DISTRO": distribution, "X": "1"}
    own = {"FASTRTPS_DEFAULT_PROFILES_FILE": "/mine.xml"}
    assert graph_environment(own) == own
