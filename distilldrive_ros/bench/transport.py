"""Six JPEG cameras in one burst, best effort, between two processes, with Fast DDS as it comes and with our profile.

As it comes, its shared-memory segment of half a megabyte cannot hold a burst of six images.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilldrive_ros.bench.measure import Measurement, Spread
from distilldrive_ros.environment.resources import config_file
from distilldrive_ros.scene.errors import ConfigurationError, DistillDriveError

PROFILE = "fastdds_shm.xml"
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
PEER = "distilldrive_ros.bench.transport_peer"
START_LIMIT_S = 40.0


@dataclass(frozen=True)
class Delivery:
    """`latencies_ms` from before publishing to the receiver's callback, one per message received."""

    sent: int
    latencies_ms: tuple[float, ...]

    @property
    def share(self) -> float:
        """Part of the messages sent that came."""
        return len(self.latencies_ms) / self.sent


def measure(quick: bool) -> list[Measurement]:
    """Both transports.

    Raises:
        ConfigurationError: no ROS client library, another middleware than Fast DDS, or no profile.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise ConfigurationError("rclpy is not installed; run `make setup`, or source a ROS 2 installation")
    middleware = os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if not middleware.startswith("rmw_fastrtps"):
        raise ConfigurationError(
            f"RMW_IMPLEMENTATION is {middleware}; unset it: this measures Fast DDS and its profile"
        )
    profile, seconds = config_file(PROFILE), 2.0 if quick else 8.0
    return [
        *_rows("default", deliver(None, seconds), None),
        *_rows("with profile", deliver(profile, seconds), 1.0),
    ]


def _rows(name: str, delivery: Delivery, target: float | None) -> list[Measurement]:
    note = f"{len(delivery.latencies_ms)} of {delivery.sent} images"
    rows = [Measurement(f"{name}, received share", delivery.share, "", target, "higher", note)]
    if delivery.latencies_ms:
        spread = Spread.of(delivery.latencies_ms)
        rows.append(Measurement(f"{name}, latency p50", spread.median, "ms"))
        rows.append(Measurement(f"{name}, latency p99", spread.p99, "ms"))
    return rows


def deliver(profile: Path | None, seconds: float) -> Delivery:
    """Send bursts for some seconds from one process to another.

    Raises:
        TransportError: a process failed or did not answer.
    """
    environment = {k: v for k, v in os.environ.items() if k not in PROFILE_VARIABLES}
    # Nobody else's graph: a domain of its own, this host only. Ids above 101 meet the ports of clients.
    environment["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if profile is not None:
        environment |= dict.fromkeys(PROFILE_VARIABLES, str(profile))
    receiver = _start("receive", seconds, environment)
    sender = _start("send", seconds, environment)
    try:
        sent = _answer(sender, seconds)
        received = _answer(receiver, seconds)
    finally:
        for process in (sender, receiver):
            if process.poll() is None:
                process.kill()
                process.wait()
    return Delivery(int(sent["sent"]), tuple(received["latencies_ms"]))


def _start(role: str, seconds: float, environment: dict[str, str]) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", PEER, role, str(seconds)]
    return subprocess.Popen(
        arguments, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _answer(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    """What a process says when it is done; the end of its input tells the receiver that no more will come."""
    try:
        out, error = process.communicate(timeout=START_LIMIT_S + seconds)
    except subprocess.TimeoutExpired as late:
        limit = START_LIMIT_S + seconds
        raise TransportError(
            f"no answer within {limit:.0f} s; check that UDP multicast works on the loopback interface"
        ) from late
    if process.returncode != 0:
        lines = error.strip().splitlines()
        raise TransportError(f"a process failed: {lines[-1] if lines else 'no message'}; see `distilldrive doctor`")
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


class TransportError(DistillDriveError):
    """The processes could not talk."""
