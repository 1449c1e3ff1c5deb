"""`distilldrive engine`: prepare what makes inference fast, and hand the student to other runtimes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from distilldrive_ros.models.registry import PRECISIONS

if TYPE_CHECKING:
    from distilldrive_ros.models.captured_step import CaptureReport

STUDENTS = ("student", "student_tiny")
DIFFUSION = ("diffusiondrive", "diffusiondrive_rl", "diffusiondrive_v1", "diffusiondrive_tiny")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `engine build` and `engine export` to the command line."""
    parser = subparsers.add_parser(
        "engine",
        help="compile the kernels ahead of the first run, export the student",
        description="Prepare the inference engine, or export a network.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser(
        "build",
        help="compile the aggregation op for this machine, try a model's CUDA graph",
        description="Compile the aggregation op for this machine's CPU, and for its GPU if it has one. The result is "
        "kept in the virtual environment, or else in the user's cache. An earlier failure is tried again. Then, on a "
        "GPU or where --model is given, prepare the models' steps as a start of the graph will: CUDA graphs cannot be "
        "kept, but it is known afterwards whether there is one, how long it takes (seconds) and how much memory. Exit "
        "status 0 if all was compiled and, on a GPU, all steps became CUDA graphs, else 1: what did not runs slower.",
    )
    build.add_argument(
        "--model", action="append", choices=(*STUDENTS, *DIFFUSION), help="only this one; more than once: these"
    )
    build.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0], help="default: %(default)s")
    build.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    build.set_defaults(run=run)
    export = actions.add_parser(
        "export",
        help="write the student as ONNX, a starting point for other runtimes",
        description="Write two ONNX graphs: FILE for every frame that has one before it, and FILE with .first before "
        "its suffix for the first frame of a drive or after a gap. Opset 18, standard operators only (the aggregation "
        "as GridSample), float32 and int64. The memory is explicit: output next.X of a frame is input state.X of the "
        "next. Needs the packages of the extra `export`.",
    )
    export.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="the graph with memory")
    export.add_argument("--model", choices=STUDENTS, default=STUDENTS[0], help="default: %(default)s")
    export.add_argument("--weights", type=Path, metavar="FILE", help="checkpoint; without it the weights are untrained")
    export.add_argument("--force", action="store_true", help="replace files that are there already")
    export.set_defaults(run=run_export)


def run(args: argparse.Namespace) -> int:
    """Compile and try; returns 0 if there is a compiled op for every device and a graph of every model on a GPU.

    Raises:
        ConfigurationError: the device is not there, or the precision is not for it.
        DeviceMemoryError: the device has no room for a model.
    """
    # Imported here: torch takes seconds, and `--help` needs none.
    from distilldrive_ros.models.devices import resolve_device
    from distilldrive_ros.models.ops.deformable_aggregation.build import main

    device = resolve_device(args.device)
    status = main([])
    for name in args.model or ([] if device == "cpu" else [STUDENTS[0], DIFFUSION[0]]):
        report = _prepare(name, device, args.precision)
        print(f"{name} on {device}, {args.precision}: {report or 'operation by operation'}")
        if report is not None and not report.captured:
            status = 1
    return status


def _prepare(name: str, device: str, precision: str) -> CaptureReport | None:
    """Make a model with untrained weights, which takes what one with others takes."""
    from distilldrive_ros.models.diffusiondrive.processor import build_diffusiondrive
    from distilldrive_ros.models.distilldrive.engine import EngineOptions
    from distilldrive_ros.models.distilldrive.processor import build_student

    if name in STUDENTS:
        return build_student(name, device=device, options=EngineOptions(precision=precision)).capture
    return build_diffusiondrive(name, device=device, precision=precision).capture


def run_export(args: argparse.Namespace) -> int:
    """Export and say what was written.

    Raises:
        ConfigurationError: packages are missing, files are there already, or cannot be written.
        CheckpointError: the weight file cannot be used.
    """
    from distilldrive_ros.models.distilldrive.export import OPSET, export_student, exported_paths
    from distilldrive_ros.models.distilldrive.processor import build_student
    from distilldrive_ros.scene.errors import ConfigurationError

    there = [path for path in exported_paths(args.onnx) if path.exists()]
    if there and not args.force:
        raise ConfigurationError(f"{there[0]} is there already; choose another file, or give --force")
    model = build_student(args.model, args.weights, "cpu")
    for file in export_student(model.network, args.onnx):
        size = file.path.stat().st_size / 2**20
        print(f"{file.path}: {size:.1f} MiB, opset {OPSET}, {len(file.inputs)} inputs, {len(file.outputs)} outputs")
    if not model.trained:
        print("note: the weights are untrained; the plans of these graphs mean nothing")
    return 0
