"""The numbers of one closed-loop drive, and of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from distilldrive_ros.evaluation.closed_loop.log_world import LogWorld
from distilldrive_ros.planning.pdm.collisions import no_at_fault_collision
from distilldrive_ros.planning.pdm.drives import locate
from distilldrive_ros.planning.pdm.pdms import PdmsScores, score_pdms
from distilldrive_ros.planning.pdm.planner import plan_pdm_closed
from distilldrive_ros.planning.pdm.world import EGO_STATES
from distilldrive_ros.worlds.driving.drive_log import DriveEvent, DriveLog, EndReason, EventKind

# From one scored window to the next, steps of 0.1 s.
WINDOW_STEPS = 10
# PDMS and what it is made of, by the names of `planning.pdm.pdms.PdmsScores`.
SUB_SCORES = (
    "no_at_fault_collision",
    "drivable_area",
    "driving_direction",
    "ego_progress",
    "time_to_collision",
    "comfort",
    "score",
)


@dataclass(frozen=True)
class DriveResult:
    """One drive.

    `driven_m` along the route; `completion` of the way to the goal, 0 to 1. `collided`: it touched somebody;
    `at_fault`: and could have helped it, by the rule of NAVSIM (`planning.pdm.collisions`). `off_road_share`,
    `braked_share`: parts of the steps with a corner off the road, or braking for want of a plan. `scores`: mean of the
    PDMS and its parts over `windows` of 4 s, one per second; empty for drives of less.
    """

    world: str
    description: str
    end: EndReason
    duration_s: float
    driven_m: float
    completion: float
    collided: bool
    at_fault: bool
    off_road_share: float
    braked_share: float
    plans: int
    refused_plans: int
    windows: int
    scores: dict[str, float]
    events: tuple[DriveEvent, ...]

    @property
    def sentence(self) -> str:
        """The drive in one line."""
        fault = ", at fault" if self.at_fault else ", not at fault" if self.collided else ""
        score = f", PDMS {100 * self.scores['score']:.1f}" if self.windows else ""
        return (
            f"{self.world}: {self.end.value}{fault} after {self.duration_s:.1f} s, {self.driven_m:.0f} m, "
            f"{100 * self.completion:.0f} % of the route{score}"
        )

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        events = [{"time_s": e.time_ns * 1e-9, "kind": e.kind.value, "detail": e.detail} for e in self.events]
        return {**asdict(self), "end": self.end.value, "events": events}


def drive_result(log: DriveLog) -> DriveResult:
    """Score a drive that has ended.

    Raises:
        ScoringError: the world has no route to be scored on.
    """
    steps = max(1, len(log.states) - 1)
    collided = any(event.kind is EventKind.COLLISION for event in log.events)
    world = LogWorld(log)
    windows = score_windows(world)
    return DriveResult(
        world=log.name,
        description=log.description,
        end=log.end or EndReason.STOPPED,
        duration_s=log.duration_s,
        driven_m=log.driven_m,
        completion=log.completion,
        collided=collided,
        at_fault=collided and at_fault(world),
        off_road_share=log.off_road_steps / steps,
        braked_share=sum(log.braked[1:]) / steps,
        plans=len(log.plans),
        refused_plans=log.refused_plans,
        windows=len(windows),
        scores={name: _mean([float(getattr(w, name)[1]) for w in windows]) for name in SUB_SCORES} if windows else {},
        events=tuple(log.events),
    )


def at_fault(world: LogWorld) -> bool:
    """Whether the drive holds a collision that was the vehicle's fault."""
    drive, surroundings = world.whole_drive()
    return bool(no_at_fault_collision(drive, surroundings.objects)[0] < 1.0)


def score_windows(world: LogWorld) -> list[PdmsScores]:
    """PDMS of 4 s each, one per second and one that ends with the drive; number 1 of each is what was driven.

    Number 0 is the proposal of `pdm_closed` from the same instant, to which progress is relative.
    """
    last = world.steps - EGO_STATES
    if last < 0:
        return []
    out = []
    for start in sorted({*range(0, last + 1, WINDOW_STEPS), last}):
        surroundings = world.at(start)
        reference = plan_pdm_closed(surroundings).states
        driven = world.states[start : start + EGO_STATES]
        drives = locate(np.stack([reference, driven]), surroundings, world.log.vehicle)
        out.append(score_pdms(surroundings, drives))
    return out


def summary(results: Sequence[DriveResult]) -> dict[str, Any]:
    """Means over drives, each counting once however long; collisions per kilometre driven."""
    scored = [r for r in results if r.windows]
    metres = sum(max(0.0, r.driven_m) for r in results)
    seconds = sum(r.duration_s for r in results)

    def per_km(count: int) -> float | None:
        return 1000.0 * count / metres if metres > 0 else None

    def by_time(name: str) -> float | None:
        return sum(getattr(r, name) * r.duration_s for r in results) / seconds if seconds > 0 else None

    return {
        "drives": len(results),
        "driven_m": metres,
        "duration_s": seconds,
        "ends": dict(Counter(r.end.value for r in results)),
        "route_completion": _mean([r.completion for r in results]) if results else None,
        "collisions": sum(r.collided for r in results),
        "collisions_per_km": per_km(sum(r.collided for r in results)),
        "collisions_at_fault": sum(r.at_fault for r in results),
        "collisions_at_fault_per_km": per_km(sum(r.at_fault for r in results)),
        "off_road_share": by_time("off_road_share"),
        "braked_share": by_time("braked_share"),
        "refused_plans": sum(r.refused_plans for r in results),
        "windows": sum(r.windows for r in scored),
        "scores": {name: _mean([r.scores[name] for r in scored]) for name in SUB_SCORES} if scored else {},
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
