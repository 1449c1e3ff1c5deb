"""The optional step that compiles the aggregation op; without it plain PyTorch does the same work, slower."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from distilldrive_ros.environment.commands import ToolError, clean_environment, run_logged
from distilldrive_ros.environment.layout import Layout

_OP = Path("models") / "ops" / "deformable_aggregation"
_BUILDER = "distilldrive_ros.models.ops.deformable_aggregation"


def kernel_inputs(layout: Layout) -> list[Path]:
    """Files that decide what the compiled op is."""
    folder = layout.module / _OP
    return [folder / "build.py", *sorted((folder / "csrc").glob("*"))]


def build_kernels(layout: Layout, progress: Callable[[str], None]) -> None:
    """Compiles what this machine can; a failure is reported on one line and never stops the set-up."""
    log = layout.logs / "kernels.log"
    log.unlink(missing_ok=True)
    try:
        run_logged(
            [str(layout.python), "-m", _BUILDER], log, clean_environment(layout.venv, os.environ), progress, layout.root
        )
    except ToolError as error:
        last = (error.tail.splitlines() or [str(error)])[-1]
        print(f"the aggregation op was not compiled ({last}); plain PyTorch serves, log: {log}", file=sys.stderr)
