"""Parameters that several nodes have: one declaration for all of them."""

from __future__ import annotations

from typing import Any

from distilldrive_ros.nodes.parameters.table import parameter

RELIABILITIES = ("best_effort", "reliable")


def diagnostics_period() -> Any:
    """`diagnostics_period_s`."""
    return parameter(1.0, "time between two reports on /diagnostics", unit="s", low=0.02, high=60.0, read_only=True)


def clock_timeout() -> Any:
    """`clock_timeout_s`."""
    return parameter(
        10.0, "with use_sim_time: /clock silent for longer is an error", unit="s", low=0.1, high=600.0, read_only=True
    )


def plan_timeout() -> Any:
    """`plan_timeout_s` of the nodes that make plans."""
    return parameter(2.0, "no plan for longer: the status goes stale", unit="s", low=0.05, high=600.0)


def awaited_subscribers() -> Any:
    """`await_subscribers`: see `listener_gate`."""
    return parameter(
        (),
        "outputs (NAME or NAME:COUNT) that must have so many subscribers before this node listens; for lock-step",
        read_only=True,
    )


def reliability(what: str) -> Any:
    """What `what` asks for."""
    return parameter(
        "best_effort", f"what {what}; best_effort fits every publisher", choices=RELIABILITIES, read_only=True
    )
