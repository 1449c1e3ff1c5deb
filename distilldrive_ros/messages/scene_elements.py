"""Road users and map elements between `scene/` and their messages."""

from __future__ import annotations

from typing import Any

import numpy as np

from distilldrive_ros.messages.factory import MessageFactory
from distilldrive_ros.messages.fields import array_view, shaped_view, stamp_ns, yaw_of_orientation
from distilldrive_ros.scene.objects import ObjectPrediction, ObjectPredictions
from distilldrive_ros.scene.vector_map import MapPolyline, PolylineKind, VectorMap


def objects_to_message(factory: MessageFactory, objects: ObjectPredictions) -> Any:
    """distilldrive_ros/ObjectPredictions."""
    return factory.make(
        "distilldrive_ros/msg/ObjectPredictions",
        header=factory.header(objects.stamp_ns, objects.frame_id),
        model_id=objects.model_id,
        objects=[_object_to_message(factory, item) for item in objects.objects],
    )


def objects_from_message(message: Any) -> ObjectPredictions:
    """Of distilldrive_ros/ObjectPredictions.

    Raises:
        SensorDataError: array lengths contradict the counts.
    """
    return ObjectPredictions(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        model_id=message.model_id,
        objects=tuple(_object_from_message(item) for item in message.objects),
    )


def _object_to_message(factory: MessageFactory, item: ObjectPrediction) -> Any:
    x, y, z, length, width, height, yaw = (float(v) for v in item.box)
    return factory.make(
        "distilldrive_ros/msg/ObjectPrediction",
        id=item.id,
        class_id=item.class_id,
        score=float(item.score),
        pose=factory.upright_pose(x, y, yaw, z),
        size=factory.vector((length, width, height)),
        velocity=factory.vector((*item.velocity, 0.0)),
        time_step=float(item.time_step),
        num_modes=item.num_modes,
        num_steps=item.num_steps,
        mode_scores=factory.numbers(item.mode_scores, np.float32),
        mode_xy=factory.numbers(item.mode_xy, np.float32),
    )


def _object_from_message(message: Any) -> ObjectPrediction:
    position, size = message.pose.position, message.size
    yaw = yaw_of_orientation(message.pose.orientation)
    shape = (int(message.num_modes), int(message.num_steps), 2)
    return ObjectPrediction(
        id=int(message.id),
        class_id=message.class_id,
        score=float(message.score),
        box=np.array([position.x, position.y, position.z, size.x, size.y, size.z, yaw]),
        velocity=np.array([message.velocity.x, message.velocity.y]),
        time_step=float(message.time_step),
        mode_scores=shaped_view(message.mode_scores, np.float32, shape[:1], "mode_scores"),
        mode_xy=shaped_view(message.mode_xy, np.float32, shape, "mode_xy"),
    )


def vector_map_to_message(factory: MessageFactory, vector_map: VectorMap) -> Any:
    """distilldrive_ros/VectorMap."""
    polylines = [
        factory.make(
            "distilldrive_ros/msg/MapPolyline",
            kind=int(p.kind),
            score=float(p.score),
            xy=factory.numbers(p.xy, np.float32),
        )
        for p in vector_map.polylines
    ]
    head = factory.header(vector_map.stamp_ns, vector_map.frame_id)
    return factory.make(
        "distilldrive_ros/msg/VectorMap", header=head, model_id=vector_map.model_id, polylines=polylines
    )


def vector_map_from_message(message: Any) -> VectorMap:
    """Of distilldrive_ros/VectorMap."""
    return VectorMap(
        stamp_ns=stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        model_id=message.model_id,
        polylines=tuple(
            MapPolyline(PolylineKind(int(p.kind)), float(p.score), array_view(p.xy, np.float32).reshape(-1, 2))
            for p in message.polylines
        ),
    )
