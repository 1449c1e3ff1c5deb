"""Writes `report.html` and `metrics.json` from two bags; neither is ever seen half-written."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from distilldrive_ros.evaluation.recording import Recording, read_recording
from distilldrive_ros.evaluation.report.frame_section import PictureStyle
from distilldrive_ros.evaluation.report.metrics import DriveMetrics, drive_metrics
from distilldrive_ros.evaluation.report.page import ReportContext, report_html
from distilldrive_ros.scene.errors import DistillDriveError

REPORT_FILE = "report.html"
METRICS_FILE = "metrics.json"


def write_report(
    source: Path, plans: Path, out: Path, context: ReportContext, style: PictureStyle | None = None
) -> DriveMetrics:
    """Report on the plans of one bag against the sensors of another, into the folder `out`.

    Raises:
        BagError: a bag is missing or damaged.
        DistillDriveError: the folder cannot be written to.
    """
    recording = read_recording(source, plans)
    metrics = drive_metrics(recording)
    write_whole(out / REPORT_FILE, report_html(recording, metrics, context, style))
    write_whole(out / METRICS_FILE, json.dumps(metrics_document(recording, metrics, context), indent=2) + "\n")
    return metrics


def metrics_document(recording: Recording, metrics: DriveMetrics, context: ReportContext) -> dict[str, Any]:
    """Content of `metrics.json`: the numbers of the page, what they belong to, the last health reports of the nodes."""
    return {
        "model": context.model,
        **metrics.to_json(),
        "data": {"source": context.source, **recording.custom},
        "playback": context.playback,
        "command": context.command,
        "machine": dict(context.facts),
        "last_diagnostics": recording.health,
    }


def write_whole(path: Path, content: str | bytes) -> None:
    """Write under a temporary name, then rename.

    Raises:
        DistillDriveError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DistillDriveError(f"cannot write {path}: {error.strerror}; choose another folder with --out") from error
