"""Road users and map elements between `scene/` and their messages."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Vector3

import distilldrive_ros.msg as msg
from distilldrive_ros.nodes.conversions.arrays import from_array, shaped_field, to_array
from distilldrive_ros.nodes.pose_messages import (
    header_message,
    planar_pose_message,
    stamp_ns,
    yaw_of_message,
)
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap


def objects_to_message(objects: ObjectPredictions) -> msg.ObjectPredictions:
    """`ObjectPredictions` message."""
    return msg.ObjectPredictions(
        header=header_message(objects.stamp_ns, objects.frame_id),
        model_id=objects.model_id,
        objects=[_object_to_message(item) for item in objects.objects],
    )


def objects_from_message(message: msg.ObjectPredictions) -> ObjectPredictions:
    """Road users of their message.

    Raises:
        SensorDataError: array lengths contradict the counts.
    """
    return ObjectPredictions(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        model_id=message.model_id,
        objects=tuple(_object_from_message(item) for item in message.objects),
    )


def _object_to_message(item: ObjectPrediction) -> msg.ObjectPrediction:
    x, y, z, length, width, height, yaw = (float(v) for v in item.box)
    return msg.ObjectPrediction(
        id=item.id,
        class_id=item.class_id,
        score=float(item.score),
        pose=planar_pose_message(x, y, yaw, z),
        size=Vector3(x=length, y=width, z=height),
        velocity=Vector3(x=float(item.velocity[0]), y=float(item.velocity[1]), z=0.0),
        time_step=float(item.time_step),
        num_modes=item.num_modes,
        num_steps=item.num_steps,
        mode_scores=to_array(item.mode_scores, np.float32),
        mode_xy=to_array(item.mode_xy, np.float32),
    )


def _object_from_message(message: msg.ObjectPrediction) -> ObjectPrediction:
    position, size = message.pose.position, message.size
    yaw = yaw_of_message(message.pose.orientation)
    shape = (message.num_modes, message.num_steps, 2)
    return ObjectPrediction(
        id=message.id,
        class_id=message.class_id,
        score=message.score,
        box=np.array([position.x, position.y, position.z, size.x, size.y, size.z, yaw]),
        velocity=np.array([message.velocity.x, message.velocity.y]),
        time_step=message.time_step,
        mode_scores=shaped_field(message.mode_scores, np.float32, (message.num_modes,), "mode_scores"),
        mode_xy=shaped_field(message.mode_xy, np.float32, shape, "mode_xy"),
    )


def vector_map_to_message(vector_map: VectorMap) -> msg.VectorMap:
    """`VectorMap` message."""
    return msg.VectorMap(
        header=header_message(vector_map.stamp_ns, vector_map.frame_id),
        model_id=vector_map.model_id,
        polylines=[
            msg.MapPolyline(kind=int(p.kind), score=float(p.score), xy=to_array(p.xy, np.float32))
            for p in vector_map.polylines
        ],
    )


def vector_map_from_message(message: msg.VectorMap) -> VectorMap:
    """Map elements of their message."""
    return VectorMap(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        model_id=message.model_id,
        polylines=tuple(
            MapPolyline(PolylineKind(p.kind), p.score, from_array(p.xy, np.float32).reshape(-1, 2))
            for p in message.polylines
        ),
    )
