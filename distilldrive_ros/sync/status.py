"""What the synchroniser counts and says about its streams, for diagnostics and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ODOMETRY = "odometry"
COMMAND = "command"

DropReason = Literal["camera", "lidar", "odometry", "teleport", "calibration", "overflow", "reset"]


@dataclass(frozen=True)
class SyncCounters:
    """Totals since construction (a reset does not clear them).

    Sets: `anchors` = `emitted` + `decimated` + all `dropped` + those pending. Messages: `messages` = `taken`
    + `duplicates` + `zero_stamps` + `future_stamps` + `stale_stamps` (too old to be of use) + `refused`
    (content or pose unusable) + `discarded_by_reset` + those held back until it is clear whether time has
    jumped. Of those taken, `out_of_order` were late but usable, and `overflowed` were pushed out of a full
    queue. The discontinuities count flagged sets, except `clock_backward` and `forward_jumps`, which count
    jumps of the stamps.
    """

    messages: int = 0
    taken: int = 0
    anchors: int = 0
    emitted: int = 0
    degraded: int = 0
    decimated: int = 0
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    timeouts: int = 0
    cameras_held: int = 0
    cameras_zero_filled: int = 0
    lidars_missing: int = 0
    egos_extrapolated: int = 0
    commands_defaulted: int = 0
    duplicates: int = 0
    zero_stamps: int = 0
    out_of_order: int = 0
    future_stamps: int = 0
    stale_stamps: int = 0
    refused: int = 0
    discarded_by_reset: int = 0
    overflowed: int = 0
    clock_backward: int = 0
    forward_jumps: int = 0
    gaps: int = 0
    teleports: int = 0
    scene_changes: int = 0

    @property
    def sets_dropped(self) -> int:
        """Sets given up for any reason."""
        return sum(self.dropped.values())


@dataclass(frozen=True)
class SensorStatus:
    """Health of one stream: a sensor, `odometry` or `command`.

    `age_s`: steady time since the last message came, inf if none ever did. `rate_hz`: messages per second of
    header stamps, over the last few; 0 if unknown. `missing`: sets that had to do without it. `late_by_ms`:
    by how much the last late message came after its set had been closed (steady clock), NaN if none was late.
    `last_problem`: the last refusal in words, or "".
    """

    name: str
    kind: Literal["camera", "lidar", "odometry", "command"]
    received: int
    refused: int
    last_stamp_ns: int | None
    age_s: float
    rate_hz: float
    missing: int
    late_by_ms: float
    calibrated: bool
    last_problem: str


@dataclass(frozen=True)
class MissingStream:
    """A stream that a set lacked. `behind_ms`: expected stamp minus the newest one had then, NaN if none ever came."""

    name: str
    behind_ms: float
    reason: str


@dataclass(frozen=True)
class IncompleteSet:
    """The last set that was dropped or degraded: when, whether it went out all the same, and what it lacked."""

    stamp_ns: int
    emitted: bool
    missing: tuple[MissingStream, ...]

    def __str__(self) -> str:
        """One line for a log or a diagnostic."""
        parts = [
            f"{m.name}: {m.reason}" + ("" if m.behind_ms != m.behind_ms else f" (newest {m.behind_ms:+.0f} ms behind)")
            for m in self.missing
        ]
        verdict = "degraded" if self.emitted else "dropped"
        return f"set at {self.stamp_ns * 1e-9:.3f} s {verdict}: " + "; ".join(parts)


@dataclass(frozen=True)
class SyncStatus:
    """Everything a diagnostic needs: sensors in the order of the rig, then odometry and command."""

    sensors: tuple[SensorStatus, ...]
    odometry: SensorStatus
    command: SensorStatus
    pending_sets: int
    last_emitted_ns: int | None
    last_incomplete: IncompleteSet | None
