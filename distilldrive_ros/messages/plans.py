"""Candidates and plans between `scene.candidates` and their messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from distilldrive_ros.messages.factory import MessageFactory
from distilldrive_ros.messages.fields import command_of, shaped_view, stamp_ns, yaw_of_orientation
from distilldrive_ros.scene.candidates import (
    Candidate,
    InvalidReason,
    PlanCandidates,
    ScoreType,
    TrajectoryCandidates,
)
from distilldrive_ros.scene.errors import SensorDataError
from distilldrive_ros.scene.sensor_frame import Degraded
from distilldrive_ros.scene.timed_path import TimedPath


def candidates_to_message(factory: MessageFactory, candidates: TrajectoryCandidates) -> Any:
    """distilldrive_ros/TrajectoryCandidates."""
    return factory.make(
        "distilldrive_ros/msg/TrajectoryCandidates",
        **_inference_fields(factory, candidates),
        num_candidates=candidates.num_candidates,
        num_steps=candidates.num_steps,
        time_step=float(candidates.time_step),
        mode=factory.numbers(candidates.mode, np.uint32),
        command=factory.numbers(candidates.command, np.uint8),
        score=factory.numbers(candidates.score, np.float32),
        x=factory.numbers(candidates.x, np.float32),
        y=factory.numbers(candidates.y, np.float32),
        yaw=factory.numbers(candidates.yaw, np.float32),
        speed=factory.numbers(() if candidates.speed is None else candidates.speed, np.float32),
    )


def candidates_from_message(message: Any) -> TrajectoryCandidates:
    """Of distilldrive_ros/TrajectoryCandidates.

    Raises:
        SensorDataError: array lengths contradict the counts, or a command is none.
    """
    rows, shape = (message.num_candidates,), (message.num_candidates, message.num_steps)
    return TrajectoryCandidates(
        **_inference_of(message),
        time_step=message.time_step,
        mode=shaped_view(message.mode, np.uint32, rows, "mode"),
        command=shaped_view(message.command, np.uint8, rows, "command"),
        score=shaped_view(message.score, np.float32, rows, "score"),
        x=shaped_view(message.x, np.float32, shape, "x"),
        y=shaped_view(message.y, np.float32, shape, "y"),
        yaw=shaped_view(message.yaw, np.float32, shape, "yaw"),
        speed=shaped_view(message.speed, np.float32, shape, "speed") if len(message.speed) else None,
    )


def path_to_message(factory: MessageFactory, plan: PlanCandidates, candidate: Candidate) -> Any:
    """nav_msgs/Path of a candidate: each pose is stamped with the time at which it is reached."""
    step_ns = round(candidate.time_step * 1e9)
    poses = [
        factory.make(
            "geometry_msgs/msg/PoseStamped",
            header=factory.header(plan.stamp_ns + (index + 1) * step_ns, plan.frame_id),
            pose=factory.upright_pose(x, y, yaw),
        )
        for index, ((x, y), yaw) in enumerate(zip(candidate.positions.tolist(), candidate.yaw.tolist(), strict=True))
    ]
    return factory.make("nav_msgs/msg/Path", header=factory.header(plan.stamp_ns, plan.frame_id), poses=poses)


def path_from_message(message: Any) -> TimedPath:
    """Of nav_msgs/Path whose poses are stamped with the times at which they are reached."""
    poses = message.poses
    return TimedPath(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        stamps_ns=np.array([stamp_ns(p.header.stamp) for p in poses], np.int64),
        positions=np.array([(p.pose.position.x, p.pose.position.y) for p in poses], np.float64).reshape(-1, 2),
        yaw=np.array([yaw_of_orientation(p.pose.orientation) for p in poses], np.float64),
    )


def plan_to_message(factory: MessageFactory, plan: PlanCandidates) -> Any:
    """distilldrive_ros/PathCandidates."""
    return factory.make(
        "distilldrive_ros/msg/PathCandidates",
        **_inference_fields(factory, plan),
        selected=plan.selected,
        paths=[path_to_message(factory, plan, candidate) for candidate in plan.candidates],
        scores=factory.numbers(plan.scores, np.float32),
        modes=factory.numbers(plan.modes, np.uint32),
        commands=factory.numbers(plan.commands, np.uint8),
        invalid_reasons=factory.numbers(plan.invalid_reasons, np.uint16),
    )


def plan_from_message(message: Any) -> PlanCandidates:
    """Of distilldrive_ros/PathCandidates. Speeds are not in it; the time step is read off the poses' stamps.

    Raises:
        SensorDataError: the lists are not of one length, or a command is none.
    """
    fields = (message.paths, message.scores, message.modes, message.commands, message.invalid_reasons)
    if len({len(field) for field in fields}) != 1:
        raise SensorDataError("PathCandidates lists differ in length; mend the publisher")
    start = stamp_ns(message.header.stamp)
    return PlanCandidates(
        **_inference_of(message),
        selected=int(message.selected),
        candidates=tuple(_candidate(start, *row) for row in zip(*fields, strict=True)),
    )


def _candidate(start_ns: int, message: Any, score: float, mode: int, command: int, reasons: int) -> Candidate:
    path = path_from_message(message)
    step_s = float(path.stamps_ns[0] - start_ns) * 1e-9 if len(path.stamps_ns) else 0.0
    reason = InvalidReason(int(reasons))
    return Candidate(int(mode), command_of(int(command)), float(score), reason, step_s, path.positions, path.yaw, None)


def _inference_fields(factory: MessageFactory, of: TrajectoryCandidates | PlanCandidates) -> dict[str, Any]:
    """What both messages say of the inference behind them."""
    return {
        "header": factory.header(of.stamp_ns, of.frame_id),
        "inference_stamp": factory.time(of.inference_stamp_ns),
        "model_id": of.model_id,
        "score_type": int(of.score_type),
        "active_command": int(of.active_command),
        "degraded": int(of.degraded),
    }


def _inference_of(message: Any) -> dict[str, Any]:
    return {
        "stamp_ns": stamp_ns(message.header.stamp),
        "frame_id": message.header.frame_id,
        "inference_stamp_ns": stamp_ns(message.inference_stamp),
        "model_id": message.model_id,
        "score_type": ScoreType(int(message.score_type)),
        "active_command": command_of(int(message.active_command)),
        "degraded": Degraded(int(message.degraded)),
    }
