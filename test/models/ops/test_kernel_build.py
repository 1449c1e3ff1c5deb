"""Building and loading the kernels: fallbacks that say why, one library per set of inputs, the doctor's line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.environment.preflight import find_nvcc
from distilldrive_ros.models.ops.deformable_aggregation import build, loading
from distilldrive_ros.models.ops.deformable_aggregation.build import (
    CUDA_ARCHITECTURES,
    KernelBuildError,
    Toolchain,
    compile_command,
    compile_library,
    failure_note,
    find_toolchain,
    library_path,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for libraries, and a process that has loaded none."""
    monkeypatch.setattr(build, "_folder", lambda: tmp_path / "kernels")
    monkeypatch.setattr(loading, "_loaded", {})
    return tmp_path / "kernels"


def broken_compiler(tmp_path: Path) -> Toolchain:
    path = tmp_path / "c++"
    path.write_text("#!/bin/sh\necho run >> $(dirname $0)/runs\necho 'x.cpp:1: error: no such thing' >&2\nexit 1\n")
    path.chmod(0o755)
    return Toolchain("cpu", str(path))


def test_a_failure_is_remembered_with_its_cause(folder: Path, tmp_path: Path) -> None:
    toolchain = broken_compiler(tmp_path)
    for _ in range(2):
        with pytest.raises(KernelBuildError, match="error: no such thing"):
            compile_library(toolchain)
    assert (tmp_path / "runs").read_text() == "run\n"
    assert failure_note(library_path(toolchain)).is_file()
    assert not [path for path in folder.iterdir() if path.suffix in (".so", ".partial")]


def test_without_a_compiler_the_reference_serves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert loading.load_kernels("cpu") == loading.BackendReport("reference", "plain torch: no C++ compiler found")
    assert loading.backend_report("cpu").name == "reference"


def test_the_report_compiles_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_toolchain", lambda kind: broken_compiler(tmp_path))
    assert "on first use" in loading.backend_report("cpu").reason
    assert not (tmp_path / "runs").exists()
    assert loading.load_kernels("cpu").name == "reference"
    assert "no such thing" in loading.backend_report("cpu").reason


def test_a_library_that_cannot_be_loaded_is_no_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchain = broken_compiler(tmp_path)
    monkeypatch.setattr(loading, "find_toolchain", lambda kind: toolchain)
    library_path(toolchain).parent.mkdir(parents=True)
    library_path(toolchain).write_bytes(b"not a library")
    assert loading.load_kernels("cpu").name == "reference"


def test_devices_without_kernel_are_told_apart() -> None:
    assert loading.backend_report("xpu").reason.endswith("devices of type xpu")


def test_every_input_gives_a_library_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {library_path(Toolchain("cpu", compiler)) for compiler in ("/a/c++", "/b/c++")}
    monkeypatch.setattr(build, "_processor", lambda: "another one")
    paths.add(library_path(Toolchain("cpu", "/a/c++")))
    monkeypatch.setattr("torch.__version__", "9.9")
    paths.add(library_path(Toolchain("cpu", "/a/c++")))
    assert len(paths) == 4


def test_an_unwritable_folder_is_an_error_of_one_line(folder: Path, tmp_path: Path) -> None:
    folder.write_text("a file is in the way")
    with pytest.raises(KernelBuildError, match="cannot be written"):
        compile_library(broken_compiler(tmp_path))


@pytest.mark.parametrize(("version", "flag"), [("2.11.0+cu130", "0x020b"), ("2.13.0", "0x020d"), ("3.0.1", "0x020d")])
def test_interface_of_the_pytorch_that_is_there(version: str, flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.__version__", version)
    command = compile_command(Toolchain("cuda", "nvcc", ("9.0",)), Path("x.so"))
    assert f"-DTORCH_TARGET_VERSION={flag}000000000000" in command


@pytest.mark.slow
def test_cuda_sources_compile_for_every_architecture(tmp_path: Path) -> None:
    """Needs nvcc, but no GPU: it shows that the kernels compile, link and register, not what they compute."""
    nvcc = find_nvcc()
    if nvcc is None:
        pytest.skip("no nvcc here")
    library = tmp_path / "cuda.so"
    command = compile_command(Toolchain("cuda", nvcc, CUDA_ARCHITECTURES), library)
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    for architecture in CUDA_ARCHITECTURES:
        assert f"sm_{architecture.replace('.', '')}".encode() in library.read_bytes()
    code = (
        "import sys, torch, distilldrive_ros.models.ops.deformable_aggregation.operator\n"
        "torch.ops.load_library(sys.argv[1])\n"
        "for name in ('deformable_aggregation', 'deformable_aggregation_backward'):\n"
        "    assert torch._C._dispatch_has_kernel_for_dispatch_key(f'distilldrive_ros::{name}', 'CUDA')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(library)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_built_by_command_and_found_again(folder: Path, repository: Path) -> None:
    try:
        toolchain = find_toolchain("cpu")
    except KernelBuildError as error:
        pytest.skip(str(error))
    library = compile_library(toolchain)
    stamp = library.stat().st_mtime_ns
    assert compile_library(toolchain).stat().st_mtime_ns == stamp
    module = "distilldrive_ros.models.ops.deformable_aggregation"
    done = subprocess.run([sys.executable, "-m", module, "cpu"], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "aggregation_cpu-" in done.stdout
