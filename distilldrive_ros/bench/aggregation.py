"""The aggregation op at the sizes of the full student, against plain torch and against a copy of the same bytes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from distilldrive_ros.bench.load import best_device, timed_on
from distilldrive_ros.bench.measure import Measurement, Spread, paired_ratio
from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation, load_kernels
from distilldrive_ros.models.ops.deformable_aggregation.reference import deformable_aggregation_reference

# Anchors and points per anchor of the two heads of the full-size student.
HEADS = {"detection": (900, 13), "map": (100, 300)}
QUICK_HEADS = {"detection": (60, 13)}
LEVELS = ((64, 176), (32, 88), (16, 44), (8, 22))
CAMERAS, CHANNELS, GROUPS = 6, 256, 8
# How many times faster than plain torch the op shall be, by device.
TARGETS = {"cpu": 4.0, "cuda": 5.0}
# Calls behind each other that are timed as one: starting the first one on a GPU would take as long as it runs.
CALLS = {"cpu": 1, "cuda": 20}

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def measure(quick: bool) -> list[Measurement]:
    """Both implementations in turns, so that a busy machine slows both."""
    device = best_device()
    report = load_kernels(device.type)
    found = []
    with torch.inference_mode():
        for head, (anchors, points) in (QUICK_HEADS if quick else HEADS).items():
            problem = make_problem(anchors, points, device)
            found += _measure_head(head, problem, 2 if quick else 15, report.reason)
    return found


def make_problem(anchors: int, points: int, device: torch.device) -> Problem:
    """Random features; each point lies inside one camera of six, as on a rig that looks all round."""
    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor(LEVELS).expand(CAMERAS, -1, -1)
    areas = shapes.prod(dim=-1).flatten()
    starts = (areas.cumsum(0) - areas).view(CAMERAS, -1)
    features = torch.randn(1, int(areas.sum()), CHANNELS, generator=generator)
    inside = torch.rand(1, anchors, points, 1, 2, generator=generator) * 0.98 + 0.01
    camera = torch.randint(0, CAMERAS, (1, anchors, points, 1, 1), generator=generator)
    seen = camera == torch.arange(CAMERAS).view(1, 1, 1, -1, 1)
    locations = torch.where(seen, inside, -1.0)
    # The layout in which the network has them: camera, level, point, group.
    weights = torch.rand(1, anchors, CAMERAS, len(LEVELS), points, GROUPS, generator=generator)
    weights = weights.permute(0, 1, 4, 2, 3, 5)
    return tuple(t.to(device) for t in (features, shapes, starts, locations, weights))  # type: ignore[return-value]


def _measure_head(head: str, problem: Problem, runs: int, reason: str) -> list[Measurement]:
    device = problem[0].device
    anchors, points = problem[3].shape[1:3]
    # What the op has to read of the features: four neighbours in every level of the one camera that sees a point.
    taps = anchors * points * len(LEVELS) * 4
    source = torch.zeros(taps * CHANNELS, device=device)
    target = torch.empty_like(source)

    def seconds(kind: str) -> float:
        def work() -> None:
            if kind == "copy":
                target.copy_(source)
            elif kind == "op":
                deformable_aggregation(*problem)
            else:
                deformable_aggregation_reference(*problem)

        calls = CALLS[device.type]

        def repeat() -> None:
            for _ in range(calls):
                work()

        return timed_on(device, repeat) / calls

    times: dict[str, list[float]] = {"op": [], "reference": [], "copy": []}
    for run in range(runs + 1):
        for kind, values in times.items():
            elapsed = seconds(kind)
            if run > 0:
                values.append(elapsed)
    spread = Spread.of(times["op"])
    speed_up = paired_ratio(times["reference"], times["op"])
    of_copy = paired_ratio(times["copy"], times["op"])
    return [
        Measurement(f"{head} op", spread.median * 1e3, "ms", note=f"{reason}, {spread.count} runs"),
        Measurement(f"{head} op, 99th percentile", spread.p99 * 1e3, "ms"),
        Measurement(f"{head} plain torch", float(np.median(times["reference"])) * 1e3, "ms"),
        Measurement(f"{head} op against plain torch", speed_up, "x", TARGETS[device.type], "higher"),
        Measurement(
            f"{head} copy of the same bytes", 4 * source.numel() / float(np.median(times["copy"])) / 1e9, "GB/s"
        ),
        Measurement(
            f"{head} share of the speed of a copy",
            of_copy,
            "",
            note="the same bytes in order; the op reads some from the cache",
        ),
    ]
