"""`distilldrive_ros/ObjectPredictions` of ground truth, serialised straight from arrays.

A scene has thousands of boxes; one message object for each, and for each of its parts, would cost more than copying all
images of the scene. CDR (XCDR1, little endian): primitives align to their size from the start of the body, strings and
sequences begin with their length as uint32. A test compares the result with `rosbags`' own, byte for byte.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.typed_messages import BAG, serialised
from distilldrive_ros.datasets.futures import FUTURE_STEP_S
from distilldrive_ros.scene.objects import CLASS_NAMES

Array = NDArray[np.float64]

OBJECT_PREDICTIONS = "distilldrive_ros/msg/ObjectPredictions"
GROUND_TRUTH = "ground_truth"
_U32 = struct.Struct("<I")


@lru_cache(maxsize=64)
def _front(class_index: int, phase: int) -> bytes:
    """From after the id to before the first float64 of an object that starts at a body offset of `phase` modulo 8."""
    name = CLASS_NAMES[class_index].encode() + b"\0"
    out = _U32.pack(len(name)) + name
    at = phase + 4 + len(out)
    out += bytes(-at % 4) + struct.pack("<f", 1.0)
    at = phase + 4 + len(out)
    return out + bytes(-at % 8)


def object_predictions_cdr(
    head: bytes,
    classes: NDArray[np.int64],
    ids: NDArray[np.int64],
    geometry: Array,
    futures: Array,
) -> bytes:
    """The whole message.

    Args:
        head: CDR of the message without objects, as `rosbags` serialises it (it ends with the length of the sequence).
        classes: (N,) indices of `CLASS_NAMES`.
        ids: (N,).
        geometry: (N, 13) per object: centre (3), quaternion x, y, z, w, length, width, height, velocity (3).
        futures: (N, T, 2) the one mode.
    """
    steps = futures.shape[1]
    doubles = np.ascontiguousarray(geometry, "<f8").tobytes()
    points = np.ascontiguousarray(futures, "<f4").tobytes()
    middle = struct.pack("<fHHIfI", FUTURE_STEP_S, 1, steps, 1, 1.0, 2 * steps)
    width, length = 13 * 8, steps * 2 * 4
    parts = [head[:-4], _U32.pack(len(ids))]
    at = len(head) - 4  # offset in the body, which starts after 4 bytes of encapsulation
    for index, (kind, number) in enumerate(zip(classes.tolist(), ids.tolist(), strict=True)):
        padding = -at % 4
        front = _front(kind, (at + padding) % 8)
        parts += (
            bytes(padding), _U32.pack(number), front, doubles[index * width : (index + 1) * width],
            middle, points[index * length : (index + 1) * length],
        )  # fmt: skip
        at += padding + 4 + len(front) + width + len(middle) + length
    return b"".join(parts)


def empty_object_predictions(header: Any) -> bytes:
    """`head` of `object_predictions_cdr`."""
    message = BAG.make(OBJECT_PREDICTIONS, header=header, model_id=GROUND_TRUTH, objects=[])
    return serialised(message, OBJECT_PREDICTIONS)
