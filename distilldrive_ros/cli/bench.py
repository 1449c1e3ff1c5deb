"""`distilldrive bench`: measure this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from distilldrive_ros.bench.machine import this_machine
from distilldrive_ros.bench.report import format_table, results_name, write_json
from distilldrive_ros.bench.subjects import SUBJECTS, run_subjects

DEFAULT_JSON = Path("out/bench.json")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    width = max(map(len, SUBJECTS))
    parser = subparsers.add_parser(
        "bench",
        help="measure this machine, write a table and JSON",
        description="Measure this machine, print a table and write JSON.",
        epilog="benchmarks:\n" + "\n".join(f"  {name:<{width}}  {summary}" for name, summary in SUBJECTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure (default: all that can run here)")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="write DIR/<device>-<day>.json instead, such as bench/results"
    )
    parser.add_argument("--quick", action="store_true", help="only show that the benchmarks work, in seconds")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print, write.

    Raises:
        ConfigurationError: a name is unknown, or the file cannot be written.
        DistillDriveError: a named benchmark cannot run here.
    """
    machine = this_machine()
    results = []
    total = len(args.names or SUBJECTS)
    with tqdm(total=total, unit="benchmark", disable=not sys.stderr.isatty(), leave=False) as bar:
        for result in run_subjects(args.names, args.quick, bar.set_description):
            results.append(result)
            bar.update()
    path = args.json if args.keep is None else args.keep / results_name(machine)
    write_json(path, machine, results, args.quick)
    print(format_table(machine, results, args.quick))
    print(f"\nwritten to {path}")
    return 0
