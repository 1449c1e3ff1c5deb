"""Benchmark results as a table for people and as JSON for machines."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from distilldrive_ros.bench.machine import Machine
from distilldrive_ros.bench.measure import Measurement
from distilldrive_ros.bench.subjects import SubjectResult
from distilldrive_ros.scene.errors import ConfigurationError

FORMAT_VERSION = 1
QUICK_WARNING = "quick run: shows that the benchmarks work, its numbers are not for quoting"


def format_table(machine: Machine, results: Sequence[SubjectResult], quick: bool) -> str:
    """One block per subject."""
    names = [m.name for result in results for m in result.measurements]
    width = max(map(len, names), default=0)
    lines = [str(machine)] + ([QUICK_WARNING] if quick else [])
    for result in results:
        lines += ["", f"{result.name}: {result.summary}"]
        if result.skipped:
            lines.append(f"  skipped: {result.skipped}")
        for measurement in result.measurements:
            lines.append(f"  {measurement.name:<{width}}  {_value(measurement)}".rstrip())
    return "\n".join(lines)


def _value(measurement: Measurement) -> str:
    text = f"{measurement.value:>10.4g} {measurement.unit}"
    if measurement.target is not None:
        bound = "at most" if measurement.better == "lower" else "at least"
        verdict = "met" if measurement.met else "NOT met"
        text += f"  (target {bound} {measurement.target:g}: {verdict})"
    return text + (f"  {measurement.note}" if measurement.note else "")


def as_dict(machine: Machine, results: Sequence[SubjectResult], quick: bool) -> dict[str, object]:
    """Everything in plain types."""
    subjects = []
    for result in results:
        rows = [{**asdict(m), "met": m.met} for m in result.measurements]
        subjects.append({**asdict(result), "measurements": rows})
    return {"format": FORMAT_VERSION, "quick": quick, "machine": asdict(machine), "subjects": subjects}


def results_name(machine: Machine) -> str:
    """Name of a file to keep: device (or processor) and day, such as `nvidia-h200-2026-11-22.json`."""
    device = machine.cpu if machine.device == "cpu" else machine.device
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    return f"{slug or 'unknown'}-{machine.date[:10]}.json"


def write_json(path: Path, machine: Machine, results: Sequence[SubjectResult], quick: bool) -> None:
    """Write the results; the file appears whole or not at all. Its folder is made.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps(as_dict(machine, results, quick), indent=2, allow_nan=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}; choose another --json file") from error
