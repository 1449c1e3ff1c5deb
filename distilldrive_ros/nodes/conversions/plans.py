"""Candidates and plans between `scene.candidates` and their messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path

import distilldrive_ros.msg as msg
from distilldrive_ros.nodes.conversions.arrays import command_of, shaped_field, to_array
from distilldrive_ros.nodes.pose_messages import (
    header_message,
    planar_pose_message,
    stamp_ns,
    time_message,
    yaw_of_message,
)
from distilldrive_ros.scene.candidates import (
    Candidate,
    InvalidReason,
    PlanCandidates,
    ScoreType,
    TrajectoryCandidates,
)
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import (
    Degraded,
)


def candidates_to_message(candidates: TrajectoryCandidates) -> msg.TrajectoryCandidates:
    """`TrajectoryCandidates` message."""
    speed: Any = () if candidates.speed is None else candidates.speed
    return msg.TrajectoryCandidates(
        header=header_message(candidates.stamp_ns, candidates.frame_id),
        inference_stamp=time_message(candidates.inference_stamp_ns),
        model_id=candidates.model_id,
        score_type=int(candidates.score_type),
        active_command=int(candidates.active_command),
        degraded=int(candidates.degraded),
        num_candidates=candidates.num_candidates,
        num_steps=candidates.num_steps,
        time_step=float(candidates.time_step),
        mode=to_array(candidates.mode, np.uint32),
        command=to_array(candidates.command, np.uint8),
        score=to_array(candidates.score, np.float32),
        x=to_array(candidates.x, np.float32),
        y=to_array(candidates.y, np.float32),
        yaw=to_array(candidates.yaw, np.float32),
        speed=to_array(speed, np.float32),
    )


def candidates_from_message(message: msg.TrajectoryCandidates) -> TrajectoryCandidates:
    """Candidates of their message.

    Raises:
        SensorDataError: array lengths contradict the counts.
    """
    rows, shape = (message.num_candidates,), (message.num_candidates, message.num_steps)
    return TrajectoryCandidates(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        inference_stamp_ns=stamp_ns(message.inference_stamp),
        model_id=message.model_id,
        score_type=ScoreType(message.score_type),
        active_command=command_of(message.active_command),
        degraded=Degraded(message.degraded),
        time_step=message.time_step,
        mode=shaped_field(message.mode, np.uint32, rows, "mode"),
        command=shaped_field(message.command, np.uint8, rows, "command"),
        score=shaped_field(message.score, np.float32, rows, "score"),
        x=shaped_field(message.x, np.float32, shape, "x"),
        y=shaped_field(message.y, np.float32, shape, "y"),
        yaw=shaped_field(message.yaw, np.float32, shape, "yaw"),
        speed=shaped_field(message.speed, np.float32, shape, "speed") if len(message.speed) else None,
    )


def path_message(plan: PlanCandidates, candidate: Candidate) -> Path:
    """A candidate as a path: each pose is stamped with the time at which it is reached."""
    path = Path(header=header_message(plan.stamp_ns, plan.frame_id))
    step_ns = round(candidate.time_step * 1e9)
    for index, ((x, y), yaw) in enumerate(zip(candidate.positions, candidate.yaw, strict=True)):
        path.poses.append(_stamped_pose(plan.stamp_ns + (index + 1) * step_ns, plan.frame_id, x, y, yaw))
    return path


def _stamped_pose(nanoseconds: int, frame_id: str, x: float, y: float, yaw: float) -> PoseStamped:
    return PoseStamped(header=header_message(nanoseconds, frame_id), pose=planar_pose_message(x, y, yaw))


def plan_to_message(plan: PlanCandidates) -> msg.PathCandidates:
    """`PathCandidates` message."""
    return msg.PathCandidates(
        header=header_message(plan.stamp_ns, plan.frame_id),
        inference_stamp=time_message(plan.inference_stamp_ns),
        model_id=plan.model_id,
        score_type=int(plan.score_type),
        active_command=int(plan.active_command),
        degraded=int(plan.degraded),
        selected=plan.selected,
        paths=[path_message(plan, candidate) for candidate in plan.candidates],
        scores=to_array(plan.scores, np.float32),
        modes=to_array(plan.modes, np.uint32),
        commands=to_array(plan.commands, np.uint8),
        invalid_reasons=to_array(plan.invalid_reasons, np.uint16),
    )


def plan_from_message(message: msg.PathCandidates) -> PlanCandidates:
    """Plan of its message. Speeds are not in it; the time step is read off the poses' stamps.

    Raises:
        SensorDataError: the lists are not of one length.
    """
    fields = (message.paths, message.scores, message.modes, message.commands, message.invalid_reasons)
    if len({len(field) for field in fields}) != 1:
        raise SensorDataError("PathCandidates lists differ in length; mend the publisher")
    start = stamp_ns(message.header.stamp)
    return PlanCandidates(
        stamp_ns=start,
        frame_id=message.header.frame_id,
        inference_stamp_ns=stamp_ns(message.inference_stamp),
        model_id=message.model_id,
        score_type=ScoreType(message.score_type),
        active_command=command_of(message.active_command),
        degraded=Degraded(message.degraded),
        selected=message.selected,
        candidates=tuple(
            _candidate_from_path(start, path, score, mode, command, reasons)
            for path, score, mode, command, reasons in zip(*fields, strict=True)
        ),
    )


def _candidate_from_path(start: int, path: Path, score: float, mode: int, command: int, reasons: int) -> Candidate:
    positions = np.array([(p.pose.position.x, p.pose.position.y) for p in path.poses], np.float64).reshape(-1, 2)
    yaw = np.array([yaw_of_message(p.pose.orientation) for p in path.poses], np.float64)
    step_s = (stamp_ns(path.poses[0].header.stamp) - start) * 1e-9 if path.poses else 0.0
    return Candidate(mode, command_of(command), score, InvalidReason(reasons), step_s, positions, yaw, None)
