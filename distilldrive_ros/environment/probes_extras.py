"""The doctor's look at what only some commands need, and at what killed programs leave behind."""

from __future__ import annotations

from pathlib import Path

from distilldrive_ros.environment.findings import Finding, Status
from distilldrive_ros.environment.probes_machine import distribution_version, import_problem

# Subject: distribution, what to import, what to type.
EXTRAS = {
    "worlds: traffic": ("eclipse-sumo", "sumo", "make setup-world"),
    "worlds: pictures": ("panda3d", "panda3d.core", "make setup-world"),
    "training": ("tensorboard", "tensorboard", "pip install -r distilldrive_ros/environment/requirements-train.txt"),
    "ONNX export": ("onnx", "onnx", "pip install -r distilldrive_ros/environment/requirements-export.txt"),
}
SHARED_MEMORY = Path("/dev/shm")
SEGMENTS = ("fastdds_*", "fastrtps_*")
# A graph of six processes holds less.
MUCH_BYTES = 1 << 30


def probe_extras() -> list[Finding]:
    """Engines and libraries of the optional extras."""
    findings = []
    for subject, (name, module, remedy) in EXTRAS.items():
        problem = import_problem(module)
        status = Status.OPTIONAL if problem else Status.OK
        value = "not installed" if problem else f"{name} {distribution_version(name)}"
        findings.append(Finding("extras", subject, status, value, remedy if problem else ""))
    return findings


def probe_shared_memory(folder: Path = SHARED_MEMORY) -> list[Finding]:
    """Segments of Fast DDS: programs that were killed leave theirs, up to 64 MB each, and nobody removes them."""
    sizes = []
    for pattern in SEGMENTS:
        for path in folder.glob(pattern):
            try:
                sizes.append(path.stat().st_blocks * 512)
            except OSError:
                continue  # its program has just ended
    much = sum(sizes) > MUCH_BYTES
    remedy = (
        f"while no ROS program runs: rm -f {folder}/fastdds_* {folder}/fastrtps_* {folder}/sem.fast*" if much else ""
    )
    value = f"{sum(sizes) / 1024**3:.1f} GiB in {len(sizes)} files of Fast DDS"
    return [Finding("machine", "shared memory", Status.OPTIONAL if much else Status.OK, value, remedy)]
