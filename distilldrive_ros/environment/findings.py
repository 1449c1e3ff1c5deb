"""What the doctor says: one finding per thing looked at, and the report that holds them all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum


class Status(Enum):
    """`OK`: in order. `OPTIONAL`: absent, the core runs without it. `MISSING`: the core cannot run."""

    OK = "ok"
    OPTIONAL = "optional"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        area: heading it belongs under, for instance "ROS 2".
        subject: what was looked for, for instance "rclpy".
        status: whether it is in order.
        value: what is there (version, path, device), or why it is not.
        remedy: what to type where it is not in order; empty otherwise.
    """

    area: str
    subject: str
    status: Status
    value: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """All findings, in the order of the probes."""

    findings: tuple[Finding, ...]

    @property
    def core_ready(self) -> bool:
        """Whether nothing that the core needs is missing."""
        return all(finding.status is not Status.MISSING for finding in self.findings)

    def as_dict(self) -> dict[str, object]:
        """For JSON: `core_ready`, and `findings` with their status as text."""
        rows = [{**asdict(finding), "status": finding.status.value} for finding in self.findings]
        return {"core_ready": self.core_ready, "findings": rows}
