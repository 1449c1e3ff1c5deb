"""Where a report was made: operating system, processor, versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

# Distribution name and how the report calls it.
_PACKAGES = (
    ("ros-rclpy", "rclpy"), ("torch", "PyTorch"), ("numpy", "NumPy"), ("pillow", "Pillow"), ("rosbags", "rosbags"),
)  # fmt: skip


def machine_facts() -> dict[str, str]:
    """Name and value of everything that a latency depends on; what is unknown is left out."""
    facts = {
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "processor": f"{_processor()}, {_usable_cores()} cores usable",
        "Python": platform.python_version(),
        "ROS 2": os.environ.get("ROS_DISTRO", "from Python wheels"),
        "middleware": os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp (default)"),
    }
    for distribution, name in _PACKAGES:
        try:
            facts[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
