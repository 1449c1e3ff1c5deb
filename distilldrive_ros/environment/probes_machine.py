"""The doctor's look at the machine: interpreter, platform, libraries, PyTorch and its device, compilers."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys

from distilldrive_ros.environment.findings import Finding, Status
from distilldrive_ros.environment.install import NEWEST, OLDEST
from distilldrive_ros.environment.preflight import find_compilers, find_nvcc

# Distribution name -> what to import.
LIBRARIES = {
    "numpy": "numpy",
    "pillow": "PIL.Image",
    "PyYAML": "yaml",
    "rosbags": "rosbags.rosbag2",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "shapely": "shapely",
    "tqdm": "tqdm",
}


def probe_interpreter() -> list[Finding]:
    """Python and the platform it runs on."""
    area = "machine"
    version = platform.python_version()
    supported = OLDEST <= sys.version_info[:2] <= NEWEST
    remedy = "" if supported else f"use CPython {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    python = Finding(area, "Python", Status.OK if supported else Status.MISSING, f"{version}, {sys.executable}", remedy)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}, {cores} cores, {memory:.0f} GiB memory"
    return [python, Finding(area, "platform", Status.OK, system)]


def probe_libraries(reinstall: str) -> list[Finding]:
    """The Python libraries of the core."""
    findings = []
    for name, module in LIBRARIES.items():
        problem = import_problem(module)
        if problem:
            findings.append(Finding("libraries", name, Status.MISSING, problem, reinstall))
        else:
            findings.append(Finding("libraries", name, Status.OK, distribution_version(name)))
    return findings


def probe_torch(reinstall: str) -> list[Finding]:
    """PyTorch, the device that `device: auto` takes, and the implementation of the aggregation op."""
    area = "inference"
    problem = import_problem("torch")
    if problem:
        remedy = f"{reinstall}; on a ROS machine `pip install torch==2.13.0`"
        return [Finding(area, "PyTorch", Status.MISSING, problem, remedy)]
    import torch

    findings = [Finding(area, "PyTorch", Status.OK, torch.__version__)]
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        memory = properties.total_memory / 1024**3
        value = f"cuda:0, {properties.name}, {memory:.0f} GiB, CUDA {torch.version.cuda}"
        findings.append(Finding(area, "device", Status.OK, value))
    else:
        reason = "this build of PyTorch is for the CPU" if torch.version.cuda is None else "no usable NVIDIA GPU"
        value = f"cpu, {torch.get_num_threads()} threads ({reason})"
        remedy = "a full-size network in real time needs an NVIDIA GPU and a CUDA build of torch==2.13.0"
        findings.append(Finding(area, "device", Status.OPTIONAL, value, remedy))
    findings.append(_probe_op(area))
    return findings


def _probe_op(area: str) -> Finding:
    module = "distilldrive_ros.models.ops.deformable_aggregation"
    problem = import_problem(module)
    if problem:
        return Finding(area, "aggregation op", Status.MISSING, problem, "install the package again (make setup)")
    report = importlib.import_module(module).backend_report()
    return Finding(area, "aggregation op", Status.OK, f"{report.name}: {report.reason}")


def probe_compilers() -> list[Finding]:
    """Tools that build messages and, where a GPU is, kernels."""
    area = "build tools"
    _, cxx = find_compilers()
    findings = [
        Finding(area, "C++ compiler", Status.OK, cxx)
        if cxx
        else Finding(area, "C++ compiler", Status.OPTIONAL, "none", "`sudo apt-get install build-essential`")
    ]
    nvcc = find_nvcc()
    findings.append(
        Finding(area, "nvcc", Status.OK, nvcc)
        if nvcc
        else Finding(area, "nvcc", Status.OPTIONAL, "none", "only for building CUDA kernels: install the CUDA toolkit")
    )
    return findings


def import_problem(module: str) -> str:
    """Why `module` cannot be imported, one line; empty if it can.

    Any exception counts: a broken library may raise whatever it likes, and the doctor must go on.
    """
    try:
        importlib.import_module(module)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"cannot be imported: {first}"
    return ""


def distribution_version(name: str) -> str:
    """Version of an installed distribution; "installed" where its metadata are not there (Debian's packages)."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "installed"
