"""What a computation on a GPU must not do if it is to be captured as a CUDA graph, checked without a GPU.

The computation runs on the device `meta`: tensors that have a shape but no numbers, so that whatever looks at a number
fails by itself (`bool(tensor)`, `.item()`, `nonzero`, masks as indices). The rules below find what would still pass: a
second device in an operation, and tensors made of Python numbers, which are copied from ordinary memory.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_FROM_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy, Tensor.new_tensor)
_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)


def _devices(*values: Any) -> set[str]:
    return {leaf.device.type for leaf in tree_leaves(values) if isinstance(leaf, Tensor)}


def _place() -> str:
    """Innermost line of the package that is running."""
    frames = [f for f in traceback.extract_stack() if "/distilldrive_ros/" in f.filename and "/test/" not in f.filename]
    return f"{frames[-1].filename.rpartition('/distilldrive_ros/')[2]}:{frames[-1].lineno}" if frames else "the test"


class _Calls(TorchFunctionMode):
    """Looks at calls as they are written."""

    def __init__(self, broken: list[str]) -> None:
        super().__init__()
        self._broken = broken

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FROM_NUMBERS:
            self._broken.append(f"{_place()}: {func.__name__} copies numbers from ordinary memory")
        if func in _INDEXING and any(isinstance(part, list) for part in tree_parts(args[1])):
            self._broken.append(f"{_place()}: a list as index is copied from ordinary memory")
        return func(*args, **(kwargs or {}))


def tree_parts(index: Any) -> tuple[Any, ...]:
    """Parts of an index."""
    return index if isinstance(index, tuple) else (index,)


class _Operations(TorchDispatchMode):
    """Looks at what calls are made of."""

    def __init__(self, broken: list[str]) -> None:
        super().__init__()
        self._broken = broken

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        devices = _devices(args, kwargs, result)
        if len(devices) > 1:
            self._broken.append(f"{_place()}: {func} mixes {' and '.join(sorted(devices))}")
        return result


@contextmanager
def gpu_rules() -> Iterator[list[str]]:
    """Collects what the code inside, on `meta` tensors, does against the rules, as lines; none: it may be captured."""
    broken: list[str] = []
    # Not inference mode: there composite operations come as they are written, not as what they are made of.
    with torch.no_grad(), _Operations(broken), _Calls(broken):
        yield broken
