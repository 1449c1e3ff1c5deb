"""Finds out which implementation a device uses, and loads the compiled one."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import torch

from distilldrive_ros.models.ops.deformable_aggregation import operator  # noqa: F401  (a library needs the schema)
from distilldrive_ros.models.ops.deformable_aggregation.build import (
    KernelBuildError,
    compile_library,
    failure_note,
    find_toolchain,
    library_path,
)

logger = logging.getLogger(__name__)

KERNEL_DEVICES = ("cpu", "cuda")

REFERENCE = "reference"
"""Name of the plain-torch implementation in a `BackendReport`."""


@dataclass(frozen=True)
class BackendReport:
    """Implementation in use (`cpu` or `cuda` kernel; `reference`: plain torch, any device) and why, one line each."""

    name: str
    reason: str


_lock = threading.Lock()
_loaded: dict[str, BackendReport] = {}


def load_kernels(device_type: str) -> BackendReport:
    """Load the compiled library of a device, compiling it first where it is not there (seconds; CUDA: a minute).

    Never fails: where there is no library the reference runs, which is logged once per process.
    """
    report = _loaded.get(device_type)
    if report is None:
        with _lock:
            report = _loaded.get(device_type) or _load(device_type)
            _loaded[device_type] = report
    return report


def backend_report(device_type: str | None = None) -> BackendReport:
    """What `deformable_aggregation` runs on a device (default: a GPU if there is one, else the CPU), and why.

    Compiles nothing: says so where the library would be compiled on first use.
    """
    device_type = device_type or ("cuda" if torch.cuda.is_available() else "cpu")
    if device_type in _loaded:
        return _loaded[device_type]
    if device_type not in KERNEL_DEVICES:
        return _no_kernel(device_type)
    try:
        toolchain = find_toolchain(device_type)
        library = library_path(toolchain)
    except (KernelBuildError, OSError) as error:
        return BackendReport(REFERENCE, f"plain torch: {error}")
    if library.is_file():
        return BackendReport(device_type, f"compiled kernel {library}")
    note = failure_note(library)
    if note.is_file():
        return BackendReport(REFERENCE, f"plain torch: {note.read_text().strip()}")
    return BackendReport(device_type, f"compiled kernel, to be built by {toolchain.compiler} on first use")


def _load(device_type: str) -> BackendReport:
    if device_type not in KERNEL_DEVICES:
        return _no_kernel(device_type)
    try:
        library = compile_library(find_toolchain(device_type))
        torch.ops.load_library(str(library))
    except (KernelBuildError, OSError) as error:
        report = BackendReport(REFERENCE, f"plain torch: {error}")
        logger.warning("deformable aggregation on %s runs in plain PyTorch, several times slower: %s",
                       device_type, error)  # fmt: skip
        return report
    return BackendReport(device_type, f"compiled kernel {library}")


def _no_kernel(device_type: str) -> BackendReport:
    return BackendReport(REFERENCE, f"plain torch: there is no kernel for devices of type {device_type}")
