"""Collects what is installed, what is missing and what to do about it; `distilldrive doctor` prints it."""

from __future__ import annotations

from distilldrive_ros.environment.findings import Report
from distilldrive_ros.environment.probes_extras import probe_extras, probe_shared_memory
from distilldrive_ros.environment.probes_machine import (
    probe_compilers,
    probe_interpreter,
    probe_libraries,
    probe_torch,
)
from distilldrive_ros.environment.probes_ros import (
    probe_messages,
    probe_ros,
    probe_ros_libraries,
    ros_flavour,
)


def examine() -> Report:
    """Looks at everything; imports the libraries it reports on, changes nothing."""
    _, reinstall = ros_flavour()
    ros = probe_ros()
    rclpy_works = any(finding.subject == "middleware" for finding in ros)
    return Report(
        (
            *probe_interpreter(),
            *probe_libraries(reinstall),
            *ros,
            *probe_messages(),
            *probe_ros_libraries(rclpy_works),
            *probe_compilers(),
            *probe_torch(reinstall),
            *probe_extras(),
            *probe_shared_memory(),
        )
    )
