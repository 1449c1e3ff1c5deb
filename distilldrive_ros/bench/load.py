"""How hard a computation works the machine: arithmetic against the measured peak, and memory at its highest."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from distilldrive_ros.bench.measure import timed

_SIDE = 1024
_RUNS = 5
_CLEAR_PEAK = "5"
_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


class _Counter(TorchDispatchMode):
    """Adds up what torch's own table says of every operator. Its FlopCounterMode follows gradients, which there are
    none of in inference mode."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operator = func._overloadpacket
        if operator not in flop_registry and operator is not _CPU_ATTENTION:
            # In inference mode convolutions and linear layers come as they are written, not as what they are made of.
            with self:
                parts = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if parts is NotImplemented else parts
        result = func(*args, **kwargs)
        if operator is _CPU_ATTENTION:
            query, key = args[:2]
            self.total += 4 * query.numel() * key.shape[-2]
        else:
            self.total += int(flop_registry[operator](*args, **kwargs, out_val=result))
        return result


def best_device() -> torch.device:
    """A GPU if there is one, else the CPU: what models choose by themselves."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def timed_on(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds that a call takes, with all that it starts on the device, which must have nothing else to do."""

    def complete() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return timed(complete)


def matmul_peak(device: torch.device) -> float:
    """Floating-point operations per second of a large float32 matrix product here, the best of some."""
    a = torch.randn(_SIDE, _SIDE, device=device)
    b = torch.randn(_SIDE, _SIDE, device=device)

    timed_on(device, lambda: a @ b)
    return 2 * _SIDE**3 / min(timed_on(device, lambda: a @ b) for _ in range(_RUNS))


def arithmetic(work: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products, convolutions and attentions in `work`; other operators none."""
    with _Counter() as counter:
        work()
    return counter.total


def peak_memory_mib(work: Callable[[], object], device: torch.device) -> float:
    """Highest memory during `work`: of the GPU what this process had allocated there, else of the whole process.

    Where the system cannot forget earlier peaks (all but Linux) those of this process count, too.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device) / 2**20
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    try:
        clear.write_text(_CLEAR_PEAK)
    except OSError:
        work()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    work()
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
