"""What the graph makes of a drive, as messages without ROS: candidates, plans, road users, map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from distilldrive_ros.bags.sensor_messages import header, make, pose, time, vector
from distilldrive_ros.scene.candidates import Candidate, PlanCandidates, TrajectoryCandidates
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import VectorMap

PACKAGE = "distilldrive_ros/msg"
PLANS_TOPIC = "/planner/paths"
PATH_TOPIC = "/planner/path"
CANDIDATES_TOPIC = "/perception_planning/candidates"
OBJECTS_TOPIC = "/perception_planning/objects"
MAP_TOPIC = "/perception_planning/map"

RESULT_TOPICS = {
    PLANS_TOPIC: f"{PACKAGE}/PathCandidates",
    PATH_TOPIC: "nav_msgs/msg/Path",
    CANDIDATES_TOPIC: f"{PACKAGE}/TrajectoryCandidates",
    OBJECTS_TOPIC: f"{PACKAGE}/ObjectPredictions",
    MAP_TOPIC: f"{PACKAGE}/VectorMap",
}


def path_message(plan: PlanCandidates, candidate: Candidate) -> Any:
    """nav_msgs/Path of a candidate; each pose is stamped with the time at which it is reached."""
    step_ns = round(candidate.time_step * 1e9)
    poses = [
        make(
            "geometry_msgs/msg/PoseStamped",
            header=header(plan.stamp_ns + (index + 1) * step_ns, plan.frame_id),
            pose=_upright(x, y, 0.0, yaw),
        )
        for index, ((x, y), yaw) in enumerate(zip(candidate.positions.tolist(), candidate.yaw.tolist(), strict=True))
    ]
    return make("nav_msgs/msg/Path", header=header(plan.stamp_ns, plan.frame_id), poses=poses)


def plan_message(plan: PlanCandidates) -> Any:
    """distilldrive_ros/PathCandidates."""
    return make(
        f"{PACKAGE}/PathCandidates",
        header=header(plan.stamp_ns, plan.frame_id),
        inference_stamp=time(plan.inference_stamp_ns),
        model_id=plan.model_id,
        score_type=int(plan.score_type),
        active_command=int(plan.active_command),
        degraded=int(plan.degraded),
        selected=plan.selected,
        paths=[path_message(plan, candidate) for candidate in plan.candidates],
        scores=np.array(plan.scores, np.float32),
        modes=np.array(plan.modes, np.uint32),
        commands=np.array(plan.commands, np.uint8),
        invalid_reasons=np.array(plan.invalid_reasons, np.uint16),
    )


def candidates_message(candidates: TrajectoryCandidates) -> Any:
    """distilldrive_ros/TrajectoryCandidates."""
    speed = np.zeros(0, np.float32) if candidates.speed is None else np.ravel(candidates.speed)
    return make(
        f"{PACKAGE}/TrajectoryCandidates",
        header=header(candidates.stamp_ns, candidates.frame_id),
        inference_stamp=time(candidates.inference_stamp_ns),
        model_id=candidates.model_id,
        score_type=int(candidates.score_type),
        active_command=int(candidates.active_command),
        degraded=int(candidates.degraded),
        num_candidates=candidates.num_candidates,
        num_steps=candidates.num_steps,
        time_step=float(candidates.time_step),
        mode=np.asarray(candidates.mode, np.uint32),
        command=np.asarray(candidates.command, np.uint8),
        score=np.asarray(candidates.score, np.float32),
        x=np.ravel(candidates.x).astype(np.float32),
        y=np.ravel(candidates.y).astype(np.float32),
        yaw=np.ravel(candidates.yaw).astype(np.float32),
        speed=speed.astype(np.float32),
    )


def objects_message(objects: ObjectPredictions) -> Any:
    """distilldrive_ros/ObjectPredictions."""
    return make(
        f"{PACKAGE}/ObjectPredictions",
        header=header(objects.stamp_ns, objects.frame_id),
        model_id=objects.model_id,
        objects=[_object_message(item) for item in objects.objects],
    )


def vector_map_message(vector_map: VectorMap) -> Any:
    """distilldrive_ros/VectorMap."""
    polylines = [
        make(f"{PACKAGE}/MapPolyline", kind=int(p.kind), score=float(p.score), xy=np.ravel(p.xy).astype(np.float32))
        for p in vector_map.polylines
    ]
    head = header(vector_map.stamp_ns, vector_map.frame_id)
    return make(f"{PACKAGE}/VectorMap", header=head, model_id=vector_map.model_id, polylines=polylines)


def _object_message(item: ObjectPrediction) -> Any:
    x, y, z, length, width, height, yaw = (float(v) for v in item.box)
    return make(
        f"{PACKAGE}/ObjectPrediction",
        id=item.id,
        class_id=item.class_id,
        score=float(item.score),
        pose=_upright(x, y, z, yaw),
        size=vector((length, width, height)),
        velocity=vector((float(item.velocity[0]), float(item.velocity[1]), 0.0)),
        time_step=float(item.time_step),
        num_modes=item.num_modes,
        num_steps=item.num_steps,
        mode_scores=np.asarray(item.mode_scores, np.float32),
        mode_xy=np.ravel(item.mode_xy).astype(np.float32),
    )


def _upright(x: float, y: float, z: float, yaw: float) -> Any:
    """geometry_msgs/Pose standing on the ground; a NaN heading gives a NaN orientation, visible as such."""
    return pose((x, y, z), (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)))
