"""Results of several seeds side by side: mean and spread of every number, as a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """`title` with unit; `digits` after the point."""

    title: str
    digits: int


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over `count` seeds; deviation 0 for one."""

    mean: float
    deviation: float
    count: int


Results = Mapping[str, Mapping[int, Mapping[str, float | None]]]
"""By kind, seed and column; None where a column has no number."""


def spread(values: Sequence[float]) -> Spread:
    """Raises ValueError when there is no value."""
    if not values:
        raise ValueError("there is no value")
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0, len(values))


def spreads(results: Results, column: str) -> dict[str, Spread]:
    """Of every kind that has numbers in a column."""
    out = {}
    for kind, by_seed in results.items():
        values = [value for row in by_seed.values() if (value := row.get(column)) is not None]
        if values:
            out[kind] = spread(values)
    return out


def markdown(results: Results, columns: Mapping[str, Column]) -> str:
    """A table with a line per kind: mean, and deviation where there are several seeds; a dash for no number."""
    found = {name: spreads(results, name) for name in columns}
    lines = [
        "| | " + " | ".join(column.title for column in columns.values()) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for kind in results:
        cells = [_cell(found[name].get(kind), column.digits) for name, column in columns.items()]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def to_json(results: Results, columns: Mapping[str, Column]) -> dict[str, Any]:
    """All numbers by kind and seed, and their spreads."""
    found = {name: spreads(results, name) for name in columns}
    return {
        kind: {
            "seeds": {str(seed): dict(row) for seed, row in by_seed.items()},
            "spread": {
                name: {"mean": s[kind].mean, "deviation": s[kind].deviation, "count": s[kind].count}
                for name, s in found.items()
                if kind in s
            },
        }
        for kind, by_seed in results.items()
    }


def _cell(value: Spread | None, digits: int) -> str:
    if value is None:
        return "–"
    mean = f"{value.mean:.{digits}f}"
    return mean if value.count == 1 else f"{mean} ± {value.deviation:.{digits}f}"
