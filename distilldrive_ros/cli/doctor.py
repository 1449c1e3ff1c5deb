"""`distilldrive doctor`: what is installed, what is missing and what to do about it."""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path

from distilldrive_ros.environment.doctor import examine
from distilldrive_ros.environment.findings import Finding, Report, Status
from distilldrive_ros.scene.errors import ConfigurationError, DistillDriveError

_MARKS = {Status.OK: "ok     ", Status.OPTIONAL: "note   ", Status.MISSING: "MISSING"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `doctor` to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="what is installed, what is missing, what to do",
        description="What is installed, what is missing and what to do. Exit status 0 if the core can run, else 1.",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings to FILE as JSON, too")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="try to load this checkpoint")
    parser.add_argument("--model", default="student", help="the model to load it into (default student)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the table; returns 0 if the core can run, 1 otherwise."""
    report = Report((*examine().findings, examine_weights(args.weights, args.model)))
    print(format_report(report))
    if args.json is not None:
        write_json(report, args.json)
    return 0 if report.core_ready else 1


def examine_weights(weights: Path | None, model: str) -> Finding:
    """Whether `weights` can be loaded into `model`."""
    area = "inference"
    if weights is None:
        value = "none given: networks run with random weights, their plans mean nothing"
        remedy = "`--weights FILE` here tries an official checkpoint, and on the other commands uses it"
        return Finding(area, "weights", Status.OPTIONAL, value, remedy)
    from distilldrive_ros.models.registry import ModelRequest, load_model

    try:
        loaded = load_model(model, ModelRequest(weights=weights, device="cpu"))
    except DistillDriveError as error:
        remedy = "give an official checkpoint of this model, or leave --weights out"
        return Finding(area, "weights", Status.MISSING, str(error), remedy)
    return Finding(area, "weights", Status.OK, f"{loaded.model_id} from {weights}")


def format_report(report: Report) -> str:
    """The findings as a table, by area, with the remedies under what is not in order."""
    width = max(len(finding.subject) for finding in report.findings)
    lines = []
    for area, findings in groupby(report.findings, key=lambda finding: finding.area):
        lines.append(area)
        for finding in findings:
            lines.append(f"  {_MARKS[finding.status]}  {finding.subject:<{width}}  {finding.value}")
            if finding.remedy:
                lines.append(f"  {'':7}  {'':<{width}}  -> {finding.remedy}")
    missing = [finding.subject for finding in report.findings if finding.status is Status.MISSING]
    lines.append("")
    lines.append(f"the core cannot run: {', '.join(missing)}" if missing else "the core can run")
    return "\n".join(lines)


def write_json(report: Report, path: Path) -> None:
    """Writes the findings; the file appears whole or not at all.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); give another file to --json") from error
