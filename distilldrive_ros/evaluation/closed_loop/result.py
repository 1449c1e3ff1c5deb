"""The numbers of one closed-loop drive, and of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from distilldrive_ros.evaluation.closed_loop.log_world import LogWorld
from distilldrive_ros.evaluation.navsim.closed_loop import history_before
from distilldrive_ros.planning.pdm.collisions import no_at_fault_collision
from distilldrive_ros.planning.pdm.drives import locate
from distilldrive_ros.planning.pdm.epdms import EpdmsScores, score_epdms
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
# The same of EPDMS, by the names of `planning.pdm.epdms.EpdmsScores`. Extended comfort compares plans of 4 s, which not
# all models make: it and its weight are left out, as NAVSIM does where it has no plan before.
EXTENDED_SUB_SCORES = (
    "no_at_fault_collision",
    "drivable_area",
    "driving_direction",
    "traffic_light",
    "ego_progress",
    "time_to_collision",
    "lane_keeping",
    "history_comfort",
    "score",
)


@dataclass(frozen=True)
class ScoredWindow:
    """4 s of a drive; number 1 of each score is what was driven, number 0 the proposal of `pdm_closed`."""

    pdms: PdmsScores
    epdms: EpdmsScores


@dataclass(frozen=True)
class DriveResult:
    """One drive.

    `driven_m` along the route; `completion` of the way to the goal, 0 to 1. `collided`: it touched somebody;
    `at_fault`: and could have helped it, by the rule of NAVSIM (`planning.pdm.collisions`). `off_road_share`,
    `braked_share`: parts of the steps with a corner off the road, or braking for want of a plan. `lights_passed`:
    traffic lights that it drove past, of which `red_lights_run` were red. `scores`, `extended_scores`: means of PDMS
    and EPDMS and their parts over `windows` of 4 s, one per second; empty for drives of less. Times of `events` count
    from the beginning.
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
    lights_passed: int
    red_lights_run: int
    windows: int
    scores: dict[str, float]
    extended_scores: dict[str, float]
    events: tuple[DriveEvent, ...]

    @property
    def sentence(self) -> str:
        """The drive in one line."""
        fault = ", at fault" if self.at_fault else ", not at fault" if self.collided else ""
        red = f", {self.red_lights_run} red light(s) run" if self.red_lights_run else ""
        score = ""
        if self.windows:
            score = f", PDMS {100 * self.scores['score']:.1f}, EPDMS {100 * self.extended_scores['score']:.1f}"
        return (
            f"{self.world}: {self.end.value}{fault} after {self.duration_s:.1f} s, {self.driven_m:.0f} m, "
            f"{100 * self.completion:.0f} % of the route{red}{score}"
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
    begin_ns = log.snapshots[0].time_ns
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
        lights_passed=log.lights_passed,
        red_lights_run=log.red_lights_run,
        windows=len(windows),
        scores=_driven_means([w.pdms for w in windows], SUB_SCORES),
        extended_scores=_driven_means([w.epdms for w in windows], EXTENDED_SUB_SCORES),
        events=tuple(replace(event, time_ns=event.time_ns - begin_ns) for event in log.events),
    )


def at_fault(world: LogWorld) -> bool:
    """Whether the drive holds a collision that was the vehicle's fault."""
    drive, surroundings = world.whole_drive()
    return bool(no_at_fault_collision(drive, surroundings.objects)[0] < 1.0)


def score_windows(world: LogWorld) -> list[ScoredWindow]:
    """Scores of 4 s each, one per second and one that ends with the drive.

    Progress is relative to the better of the drive and the proposal of `pdm_closed` from the same instant.
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
        epdms = score_epdms(surroundings, drives, history_before(world.states, start))
        out.append(ScoredWindow(score_pdms(surroundings, drives), epdms))
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
        "lights_passed": sum(r.lights_passed for r in results),
        "red_lights_run": sum(r.red_lights_run for r in results),
        "windows": sum(r.windows for r in scored),
        "scores": _means([r.scores for r in scored], SUB_SCORES),
        "extended_scores": _means([r.extended_scores for r in scored], EXTENDED_SUB_SCORES),
    }


def _driven_means(windows: Sequence[PdmsScores] | Sequence[EpdmsScores], names: Sequence[str]) -> dict[str, float]:
    return _means([{name: float(getattr(w, name)[1]) for name in names} for w in windows], names)


def _means(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """Means by name; empty where there are no rows."""
    return {name: _mean([row[name] for row in rows]) for name in names} if rows else {}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
