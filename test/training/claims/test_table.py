"""Means and spreads over seeds."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilldrive_ros.training.claims.table import Column, markdown, spread, spreads, to_json

COLUMNS = {"l2_m": Column("L2, m", 2), "pdms": Column("PDMS", 1)}
ROWS = {
    "distilled": {0: {"l2_m": 1.0, "pdms": 80.0}, 1: {"l2_m": 2.0, "pdms": None}},
    "ctra": {0: {"l2_m": 0.354, "pdms": None}},
}


def test_a_line_per_kind_with_spread_where_there_are_seeds_and_a_dash_where_there_is_nothing() -> None:
    assert markdown(ROWS, COLUMNS).splitlines() == [
        "| | L2, m | PDMS |",
        "|---|---:|---:|",
        "| distilled | 1.50 ± 0.71 | 80.0 |",
        "| ctra | 0.35 | – |",
    ]
    plain = json.loads(json.dumps(to_json(ROWS, COLUMNS), allow_nan=False))
    assert plain["distilled"]["seeds"]["1"] == {"l2_m": 2.0, "pdms": None}
    assert plain["distilled"]["spread"]["l2_m"]["count"] == 2
    assert "pdms" not in plain["ctra"]["spread"]
    assert set(spreads(ROWS, "pdms")) == {"distilled"}


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8))
def test_spread_is_mean_and_sample_deviation(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    assert found.deviation == pytest.approx(statistics.stdev(values), abs=1e-6)


def test_one_value_has_no_deviation_and_none_is_refused() -> None:
    assert spread([3.0]).deviation == 0.0
    with pytest.raises(ValueError, match="no value"):
        spread([])
