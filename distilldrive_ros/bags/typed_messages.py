"""Messages of `rosbags`' classes, which need no ROS: what is written to bags is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.bags.typestore import message_types
from distilldrive_ros.messages.factory import MessageFactory


def _type_class(type: str) -> Any:
    return message_types().types[type]


def _numbers(values: Any, dtype: Any) -> NDArray[Any]:
    return np.ascontiguousarray(values, dtype).reshape(-1)


BAG = MessageFactory(_type_class, _numbers)


def serialised(message: Any, type: str) -> bytes:
    """CDR (little-endian) of a message of that type."""
    return bytes(message_types().serialize_cdr(message, type, little_endian=True))
