"""Array fields: set with `array.array` (numpy or lists are 20 to 30 times slower), read without a copy."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import SensorDataError

_TYPE_CODES = {
    np.dtype(np.float32): "f",
    np.dtype(np.float64): "d",
    np.dtype(np.uint8): "B",
    np.dtype(np.uint16): "H",
    np.dtype(np.uint32): "I",
}


def to_array(values: Any, dtype: Any) -> array.array[Any]:
    """Flat `array.array` of numbers, row-major, for an unbounded array field."""
    flat = np.ascontiguousarray(values, dtype=dtype)
    out: array.array[Any] = array.array(_TYPE_CODES[flat.dtype])
    if flat.size:
        out.frombytes(flat.reshape(-1).view(np.uint8).data)
    return out


def from_array(field: Any, dtype: Any) -> NDArray[Any]:
    """Numpy view of an array field, without a copy where it is an `array.array`; not to be written to."""
    if len(field) == 0:
        return np.zeros(0, dtype)
    view = np.frombuffer(field, dtype) if isinstance(field, array.array) else np.asarray(field, dtype)
    view.flags.writeable = False
    return view


def matrix_field(field: Any) -> NDArray[np.float64]:
    """4x4 matrix of a `float64[16]` field, as a copy."""
    return np.array(field, np.float64).reshape(4, 4)


def shaped_field(field: Any, dtype: Any, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Array field with the shape that the message's counts say.

    Raises:
        SensorDataError: it holds another number of values.
    """
    flat = from_array(field, dtype)
    if flat.size != int(np.prod(shape)):
        raise SensorDataError(f"{name} holds {flat.size} numbers where its counts say {shape}; mend the publisher")
    return flat.reshape(shape)


def command_of(number: int) -> Command:
    """Command of its number.

    Raises:
        SensorDataError: the number is no command.
    """
    try:
        return Command(number)
    except ValueError:
        raise SensorDataError(f"{number} is no driving command; use TrajectoryCandidates.COMMAND_*") from None
