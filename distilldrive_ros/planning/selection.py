"""From raw candidates to the plan: keep the commanded branch, check it, order by score, select the best valid one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.planning.limits import PlanningLimits
from distilldrive_ros.planning.validity import check_candidates
from distilldrive_ros.scene.candidates import Candidate, InvalidReason, PlanCandidates, TrajectoryCandidates
from distilldrive_ros.scene.command import Command


def plan(
    candidates: TrajectoryCandidates,
    limits: PlanningLimits,
    speed: float | None = None,
    hazards: NDArray[np.uint16] | None = None,
) -> PlanCandidates:
    """Check, order and select.

    Only candidates of the active command take part; all of them where the command is unknown. Order: valid ones first,
    then by score (descending, a NaN last), then by mode, so that equal inputs give equal plans. `selected` is 0 where
    the first is valid, else -1: the planner never selects what it calls invalid.

    Args:
        candidates: raw output of a model.
        limits: what a candidate may demand.
        speed: present forward speed in m/s; None skips the check of the first point.
        hazards: further `InvalidReason` bits (N,), from `find_hazards`.
    """
    reasons = check_candidates(candidates, limits, speed)
    if hazards is not None:
        reasons = reasons | hazards
    rows = np.arange(candidates.num_candidates)
    if candidates.active_command != Command.UNKNOWN:
        rows = rows[candidates.command == candidates.active_command]
    score = np.where(np.isnan(candidates.score), -np.inf, candidates.score)[rows]
    rows = rows[np.lexsort((candidates.mode[rows], -score, reasons[rows] != 0))]
    chosen = tuple(_candidate(candidates, int(row), int(reasons[row])) for row in rows)
    return PlanCandidates(
        stamp_ns=candidates.stamp_ns,
        frame_id=candidates.frame_id,
        inference_stamp_ns=candidates.inference_stamp_ns,
        model_id=candidates.model_id,
        score_type=candidates.score_type,
        active_command=candidates.active_command,
        degraded=candidates.degraded,
        selected=0 if chosen and not chosen[0].invalid_reasons else -1,
        candidates=chosen,
    )


def _candidate(candidates: TrajectoryCandidates, row: int, reasons: int) -> Candidate:
    return Candidate(
        mode=int(candidates.mode[row]),
        command=Command(int(candidates.command[row])),
        score=float(candidates.score[row]),
        invalid_reasons=InvalidReason(reasons),
        time_step=candidates.time_step,
        positions=np.stack([candidates.x[row], candidates.y[row]], axis=-1).astype(np.float64),
        yaw=candidates.yaw[row].astype(np.float64),
        speed=None if candidates.speed is None else candidates.speed[row].astype(np.float64),
    )
