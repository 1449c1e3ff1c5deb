"""A network's whole step with fixed shapes and fixed memory; on a GPU it is one CUDA graph."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from distilldrive_ros.models.distilldrive.state import map_tensors, named_tensors
from distilldrive_ros.models.tensor_block import TensorBlock

logger = logging.getLogger(__name__)

_WARM_UPS = 3

_State = TypeVar("_State")
_Inputs = TypeVar("_Inputs")
_Outputs = TypeVar("_Outputs")

Step = Callable[[_State | None, _Inputs], tuple[_State, _Outputs]]
"""(state or None at the start, inputs) -> (next state, outputs), dataclasses of tensors; a network without memory has
None for a state. All shapes are always the same, and nothing in it looks at a number (see `CapturedStep`)."""


@dataclass(frozen=True)
class CheckedOutputs(Generic[_Outputs]):
    """`finite`: one bool, whether all numbers that count are finite, found where the numbers are."""

    outputs: _Outputs
    finite: Tensor


@dataclass(frozen=True)
class CaptureReport:
    """Whether the step is a CUDA graph, and if not, why; seconds of warm-up and capture; bytes of the buffers."""

    captured: bool
    reason: str
    seconds: float
    buffer_bytes: int

    def __str__(self) -> str:
        how = "one CUDA graph" if self.captured else f"operation by operation ({self.reason})"
        return f"{how}, prepared in {self.seconds:.1f} s, {self.buffer_bytes / 2**20:.1f} MiB of buffers"


class CapturedStep(Generic[_State, _Inputs, _Outputs]):
    """Owns buffers for inputs, state and outputs. A run copies the inputs in, does the step, and leaves the new state
    where the next run reads it. On a GPU the step is replayed from a CUDA graph; elsewhere, or where a GPU cannot
    capture it, the same code runs operation by operation.

    The start of a drive has a form (a graph) of its own, which reads no state: whoever calls knows whether there is a
    state, so nothing on the device has to be asked, and no later frame pays for what only the first one does. Whether a
    history is too old to count is a mask inside the step.

    To its callers a run is pure: states and outputs that it hands out are copies, and any state may be given back at
    any time; the one handed out last is still in the buffers and costs nothing. Not thread-safe.
    """

    def __init__(self, step: Step[_State, _Inputs, _Outputs], example: _Inputs, device: torch.device) -> None:
        """`example` gives the shapes of the inputs; its numbers have to be such that the step can run.

        Raises:
            torch.OutOfMemoryError: the GPU has no room for the buffers or the graph.
        """
        self._step = step
        self._device = device
        self.inputs = TensorBlock(example, device)
        self.inputs.fill(example)
        start = time.perf_counter()
        with torch.inference_mode(), self._on_device():
            state, outputs = step(None, self.inputs.tensors)
            self.state = TensorBlock(state, device)
            self.outputs = TensorBlock(outputs, device)
            self.state.fill(state)
            reason = self._capture() if device.type == "cuda" else "no GPU"
        buffer_bytes = sum(block.memory.numel() for block in (self.inputs, self.state, self.outputs))
        self.report = CaptureReport(not reason, reason, time.perf_counter() - start, buffer_bytes)
        self._handed_out: _State | None = None

    def run(self, state: _State | None, inputs: _Inputs) -> tuple[_State, _Outputs]:
        """One step: the new state, on the device, and the outputs, on the CPU.

        Raises:
            ValueError: names the tensor of the inputs or the state whose shape or number type is not the expected one.
        """
        with torch.inference_mode(), self._on_device():
            self.inputs.fill(inputs)
            in_place = state is self._handed_out
            # A run that fails leaves buffers in which nobody knows what lies.
            self._handed_out = None
            if state is not None and not in_place:
                self.state.fill(state)
            if state is None:
                self._first()
            else:
                self._following()
            new_state, outputs = self.state.copied(), self.outputs.copied_to_host()
        self._handed_out = new_state
        return new_state, outputs

    def _on_device(self) -> AbstractContextManager[object]:
        return torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()

    def _first(self) -> None:
        self._work(None)

    def _following(self) -> None:
        self._work(self.state.tensors)

    def _work(self, state: _State | None) -> None:
        """From buffers to buffers."""
        new_state, outputs = self._step(state, self.inputs.tensors)
        self.outputs.fill(outputs)
        buffers = _storages(self.state.tensors)
        # A part of the new state may be a view of the old one, which is about to be written over.
        apart = map_tensors(new_state, lambda t: t.clone() if t.untyped_storage().data_ptr() in buffers else t)
        self.state.fill(apart)

    def _capture(self) -> str:
        """Turn both forms into CUDA graphs; why that was not possible, or "" if it was."""
        pool = torch.cuda.graph_pool_handle()
        try:
            first = _captured(self._first, pool)
            # A network without memory has no later frames.
            following = _captured(self._following, pool) if self.state.memory.numel() else first
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            logger.warning("the step could not be captured as a CUDA graph, it runs operation by operation: %s", reason)
            return reason
        self._first, self._following = first.replay, following.replay  # type: ignore[method-assign]
        return ""


def _captured(work: Callable[[], None], pool: Any) -> torch.cuda.CUDAGraph:
    """A graph of some work, after some rounds in which libraries choose their algorithms and constants are made."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Threads that decode images may go on meanwhile.
    with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
        work()
    return graph


def _storages(value: object) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in named_tensors(value).values()}
