"""`distilldrive engine build`, on a machine with a compiler and on one without."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilldrive_ros.cli.main import main
from distilldrive_ros.models.distilldrive import engine, export
from distilldrive_ros.models.ops.deformable_aggregation import BackendReport, build


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_folder", lambda: tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.mark.slow
def test_build_says_where_the_library_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        build.find_toolchain("cpu")
    except build.KernelBuildError as error:
        pytest.skip(str(error))
    assert main(["engine", "build"]) == 0
    (library,) = tmp_path.glob("*.so")
    assert f"cpu: {library} (" in capsys.readouterr().out


def test_build_without_a_compiler_fails_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert main(["engine", "build"]) == 1
    assert capsys.readouterr().out == "cpu: no C++ compiler found; plain PyTorch will be used\n"


@pytest.mark.parametrize("name", ["student_tiny", "diffusiondrive_tiny"])
def test_build_says_how_a_model_will_run(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "main", lambda kinds: 0)
    monkeypatch.setattr(engine, "load_kernels", lambda device: BackendReport("reference", "not in this test"))
    assert main(["engine", "build", "--model", name, "--precision", "bf16"]) == 0
    assert capsys.readouterr().out == f"{name} on cpu, bf16: operation by operation\n"


def test_build_for_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "build", "--device", "cuda:7"]) == 2
    assert "device 'cuda:7' is not there" in capsys.readouterr().err


def test_an_action_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["engine"])
    assert "ACTION" in capsys.readouterr().err


def test_export_leaves_files_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.first.onnx").write_bytes(b"mine")
    assert main(["engine", "export", "--model", "student_tiny", "--onnx", str(tmp_path / "x.onnx")]) == 2
    assert "x.first.onnx is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.first.onnx"]


def test_export_without_its_packages_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export, "PACKAGES", ("no_such_exporter",))
    assert main(["engine", "export", "--model", "student_tiny", "--onnx", str(tmp_path / "x.onnx")]) == 2
    assert "exporting needs no_such_exporter; install them" in capsys.readouterr().err
