"""The doctor's look at ROS 2: which one, its middleware and DDS profile, messages, Python libraries, launch tools."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from distilldrive_ros.environment.findings import Finding, Status
from distilldrive_ros.environment.probes_machine import distribution_version, import_problem

MESSAGE_PACKAGES = (
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "nav_msgs",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "tf2_msgs",
    "visualization_msgs",
)
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def ros_flavour() -> tuple[str, str]:
    """Which ROS 2 this interpreter uses, and what installs it anew.

    Returns:
        A line for people, and the remedy for missing parts.
    """
    spec = importlib.util.find_spec("rclpy")
    distro = os.environ.get("ROS_DISTRO", "")
    if spec is None or spec.origin is None:
        return "none", "`make setup`, or source a ROS 2 installation: `source /opt/ros/<distro>/setup.bash`"
    origin = Path(spec.origin)
    if Path(sys.prefix) in origin.parents:
        return f"wheels from PyPI in {sys.prefix}", "`make setup`"
    place = origin.parents[1]
    remedy = "`rosdep install --from-paths src -y --ignore-src`, `colcon build`, `source install/setup.bash`"
    return f"installation {distro or '(ROS_DISTRO is not set)'}, {place}", remedy


def probe_ros() -> list[Finding]:
    """rclpy, its middleware and the DDS profile."""
    area = "ROS 2"
    flavour, remedy = ros_flavour()
    if flavour == "none":
        return [Finding(area, "flavour", Status.MISSING, flavour, remedy)]
    return [Finding(area, "flavour", Status.OK, flavour), *_probe_rclpy(area, remedy), _probe_profile(area)]


def _probe_rclpy(area: str, remedy: str) -> list[Finding]:
    # In a process of its own: with a middleware that does not load, rclpy ends its process instead of raising.
    code = "import rclpy; print(rclpy.get_rmw_implementation_identifier())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode == 0:
        middleware = Finding(area, "middleware", Status.OK, done.stdout.strip())
        return [Finding(area, "rclpy", Status.OK, distribution_version("rclpy")), middleware]
    reason = (done.stderr.strip().splitlines() or [f"ends with status {done.returncode}"])[-1]
    wanted = os.environ.get("RMW_IMPLEMENTATION")
    if wanted:
        remedy = f"`unset RMW_IMPLEMENTATION` (it asks for {wanted}), or install that middleware"
    return [Finding(area, "rclpy", Status.MISSING, reason, remedy)]


def _probe_profile(area: str) -> Finding:
    subject = "Fast DDS profile"
    chosen = next((os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)), None)
    if chosen is not None:
        if Path(chosen).is_file():
            return Finding(area, subject, Status.OK, f"{chosen} (from the environment)")
        remedy = f"`unset {' '.join(PROFILE_VARIABLES)}`, or give the path of a profile"
        return Finding(area, subject, Status.MISSING, f"{chosen} does not exist", remedy)
    from distilldrive_ros.environment.resources import config_file
    from distilldrive_ros.scene.errors import ConfigurationError

    try:
        profile = config_file("fastdds_shm.xml")
    except ConfigurationError as error:
        return Finding(area, subject, Status.OPTIONAL, str(error), "install the package again (make setup)")
    value = f"{profile}: set by the launchers, not in this shell"
    remedy = f"for nodes started by hand: `export {PROFILE_VARIABLES[0]}={profile}`"
    return Finding(area, subject, Status.OPTIONAL, value, remedy)


def probe_messages() -> list[Finding]:
    """Our generated messages and the standard packages they and the nodes use."""
    area = "messages"
    _, remedy = ros_flavour()
    findings = []
    problem = import_problem("distilldrive_ros.msg")
    if problem:
        findings.append(Finding(area, "distilldrive_ros", Status.MISSING, problem, remedy))
    else:
        module = importlib.import_module("distilldrive_ros.msg")
        count = sum(1 for name in vars(module) if name[0].isupper())
        place = Path(str(module.__file__)).parent
        findings.append(Finding(area, "distilldrive_ros", Status.OK, f"{count} messages in {place}"))
    problems = {name: import_problem(f"{name}.msg") for name in MESSAGE_PACKAGES}
    for name, problem in problems.items():
        if problem:
            findings.append(Finding(area, name, Status.MISSING, problem, remedy))
    good = [name for name, problem in problems.items() if not problem]
    if good:
        findings.append(Finding(area, "standard packages", Status.OK, ", ".join(good)))
    return findings


def probe_ros_libraries(rclpy_works: bool) -> list[Finding]:
    """ROS's own Python libraries, or the stand-ins that the nodes use without them; launch and command line tools."""
    area = "ROS libraries"
    findings = _probe_stand_ins(area) if rclpy_works else []
    for name in ("launch", "launch_ros"):
        problem = import_problem(name)
        remedy = "not needed: `distilldrive launch` starts the same graph; a ROS 2 installation brings it"
        status = Status.OPTIONAL if problem else Status.OK
        value = "not installed" if problem else distribution_version(name)
        findings.append(Finding(area, name, status, value, remedy if problem else ""))
    command = shutil.which("ros2")
    remedy = "not needed: `distilldrive launch` and `distilldrive replay` do its work here"
    findings.append(
        Finding(area, "ros2", Status.OK, command)
        if command
        else Finding(area, "ros2", Status.OPTIONAL, "not installed", remedy)
    )
    return findings


def _probe_stand_ins(area: str) -> list[Finding]:
    module = "distilldrive_ros.nodes.compat"
    problem = import_problem(module)
    if problem:
        return [Finding(area, "nodes.compat", Status.MISSING, problem, ros_flavour()[1])]
    sources: dict[str, str] = importlib.import_module(module).SOURCES
    return [Finding(area, name, Status.OK, source) for name, source in sources.items()]
