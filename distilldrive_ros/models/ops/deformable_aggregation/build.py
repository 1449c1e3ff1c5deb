"""Compiles the kernels: where a library lies, what it is made of, and how it is made.

    python -m distilldrive_ros.models.ops.deformable_aggregation [cpu] [cuda]

The set-up calls this; without it a library is compiled when it is first needed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from distilldrive_ros.environment.preflight import find_compilers, find_nvcc

SOURCES = Path(__file__).parent / "csrc"
CUDA_ARCHITECTURES = ("8.0", "8.6", "8.7", "8.9", "9.0")
"""Compute capabilities that the CUDA sources are compiled for in tests."""

_HEADERS = {"cpu": ("sampling.h", "tensors.h"), "cuda": ("sampling.h", "tensors.h", "cuda_launch.h")}
_UNITS = {"cpu": ("cpu.cpp",), "cuda": ("cuda_kernels.cu", "cuda.cpp")}
_LANGUAGE = "-std=c++20"
_OPTIMISATION = ("-O3", "-march=native", "-ffp-contract=fast")
# Access to the current stream is part of the stable interface since this PyTorch; older ones offer another way.
_STABLE_INTERFACE = (2, 13)
_TIMEOUT_S = 600
_CAUSE_LENGTH = 300


class KernelBuildError(Exception):
    """A library could not be compiled; the message is one line."""


@dataclass(frozen=True)
class Toolchain:
    """What compiles: `compiler` is a path (nvcc for cuda), `architectures` are those of the GPU, empty for the CPU."""

    kind: str
    compiler: str
    architectures: tuple[str, ...] = ()


def find_toolchain(kind: str) -> Toolchain:
    """Tools for `cpu` or `cuda` on this machine.

    Raises:
        KernelBuildError: there are none, or there is no GPU to build for.
    """
    if kind == "cpu":
        _, compiler = find_compilers()
        if compiler is None:
            raise KernelBuildError("no C++ compiler found")
        return Toolchain(kind, compiler)
    if not torch.cuda.is_available():
        raise KernelBuildError("PyTorch finds no GPU")
    compiler = find_nvcc()
    if compiler is None:
        raise KernelBuildError("no nvcc found (CUDA toolkit)")
    capabilities = {torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())}
    return Toolchain(kind, compiler, tuple(f"{major}.{minor}" for major, minor in sorted(capabilities)))


def library_path(toolchain: Toolchain) -> Path:
    """Where the library of these sources, this PyTorch, this compiler and this processor lies or will lie."""
    digest = hashlib.sha256()
    for name in (*_HEADERS[toolchain.kind], *_UNITS[toolchain.kind]):
        digest.update((SOURCES / name).read_bytes())
    for text in (torch.__version__, toolchain.compiler, *toolchain.architectures, *_OPTIMISATION, _processor()):
        digest.update(f"{text}\n".encode())
    return _folder() / f"aggregation_{toolchain.kind}-{digest.hexdigest()[:16]}.so"


def failure_note(library: Path) -> Path:
    """File beside a library that says why it could not be compiled, so that not every start tries again."""
    return library.with_suffix(".failed")


def compile_library(toolchain: Toolchain) -> Path:
    """The library, compiled unless it is there already. Processes that ask at the same time wait for the first.

    Raises:
        KernelBuildError: the compiler fails, now or in an earlier attempt with the same inputs.
    """
    library = library_path(toolchain)
    note = failure_note(library)
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with library.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if library.is_file():
                return library
            if note.is_file():
                raise KernelBuildError(note.read_text().strip())
            partial = library.with_suffix(f".{os.getpid()}.partial")
            try:
                _run(compile_command(toolchain, partial))
                partial.replace(library)
            except KernelBuildError as error:
                note.write_text(f"{error}\n")
                raise
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise KernelBuildError(f"{library.parent} cannot be written: {error.strerror}") from error
    return library


def compile_command(toolchain: Toolchain, output: Path) -> list[str]:
    """Command line that makes the shared library."""
    package = Path(torch.__file__).parent
    units = [str(SOURCES / name) for name in _UNITS[toolchain.kind]]
    link = [f"-L{package / 'lib'}", "-ltorch", "-ltorch_cpu"]
    if toolchain.kind == "cpu":
        flags = [_LANGUAGE, *_OPTIMISATION, "-fPIC", "-shared", "-fvisibility=hidden"]
    else:
        flags = [_LANGUAGE, "-O3", "-shared", "-Xcompiler", "-fPIC,-fvisibility=hidden"]
        flags += [_interface_flag(), *architecture_flags(toolchain.architectures)]
        # That other way lies in this library, which builds of PyTorch for the CPU lack.
        link += ["-ltorch_cuda"] if (package / "lib" / "libtorch_cuda.so").is_file() else []
    return [toolchain.compiler, *flags, "-isystem", str(package / "include"), *units, "-o", str(output), *link]


def _interface_flag() -> str:
    """Which of PyTorch's stable interfaces the sources may use."""
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    major, minor = min((major, minor), _STABLE_INTERFACE)
    return f"-DTORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000"


def architecture_flags(architectures: Sequence[str]) -> list[str]:
    """Options of nvcc for compute capabilities such as "8.6"."""
    codes = [name.replace(".", "") for name in architectures]
    return [option for code in codes for option in ("-gencode", f"arch=compute_{code},code=sm_{code}")]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelBuildError(f"{Path(command[0]).name} could not be run: {error}"[:_CAUSE_LENGTH]) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        first = next((line for line in lines if "error" in line), lines[-1])
        raise KernelBuildError(f"{Path(command[0]).name} failed: {first.strip()}"[:_CAUSE_LENGTH])


def _folder() -> Path:
    """Inside the virtual environment, whose removal removes it; else the user's cache."""
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / "lib" / "distilldrive_ros" / "kernels"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "distilldrive_ros" / "kernels"


def _processor() -> str:
    """What `-march=native` depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {flags}"


def main(arguments: Sequence[str]) -> int:
    """Compile the named libraries (default: cpu, and cuda where a GPU is); status 1 if one cannot be compiled."""
    kinds = list(arguments) or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    status = 0
    for kind in kinds:
        start = time.perf_counter()
        try:
            toolchain = find_toolchain(kind)
            failure_note(library_path(toolchain)).unlink(missing_ok=True)
            library = compile_library(toolchain)
        except KernelBuildError as error:
            print(f"{kind}: {error}; plain PyTorch will be used")
            status = 1
        else:
            print(f"{kind}: {library} ({time.perf_counter() - start:.1f} s)")
    return status
