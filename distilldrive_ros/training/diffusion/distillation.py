"""Multi-mode distillation: a teacher's plans and scores as lessons for the camera+LiDAR model.

The published method is known for the camera student (spec 8.3); of the camera+LiDAR model only results are (spec 9).
What follows is ours, after the same idea. The teacher plans six modes for the command at hand, for 3 s; the model
refines twenty anchors, for 4 s. The anchor that lies nearest to a mode over the steps they share answers for it, just
as the anchor nearest to the drive answers for the drive (diffusion spec 4.7); several modes may have the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.denoiser import PassOutputs
from distilldrive_ros.models.distilldrive.adapter import base_trajectories
from distilldrive_ros.models.distilldrive.config import NUM_COMMANDS
from distilldrive_ros.models.distilldrive.decoding import plan_positions
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.teacher.state import TeacherState
from distilldrive_ros.training.annotations import teacher_inputs
from distilldrive_ros.training.diffusion.batch import TeacherView
from distilldrive_ros.training.diffusion.losses import nearest_anchor
from distilldrive_ros.training.losses.planning import commanded_branch
from distilldrive_ros.training.losses.weights import PlanDistillationWeights
from distilldrive_ros.training.streaming import continued


@dataclass(frozen=True)
class Lesson:
    """A teacher's M modes of the commanded branch: `points` [B, M, S, 2] m of base_link, `shares` [B, M], the softmax
    of its scores, and `features` [B, M, D], its plan queries."""

    points: Tensor
    shares: Tensor
    features: Tensor


@torch.no_grad()
def lesson_of(teacher: TeacherNetwork, view: TeacherView) -> Lesson:
    """What the teacher plans for the last of the frames, the others seen before it.

    Raises SensorDataError when a frame holds more than the teacher takes.
    """
    memory: TeacherState | None = None
    for frame in view.frames:
        memory, outputs = teacher(continued(memory, frame), teacher_inputs(frame, teacher.config))
    ego = view.frames[-1].ego
    branch = commanded_branch(outputs.plan_logits, outputs.plan_offsets, ego)
    rows = torch.arange(len(ego.command), device=ego.command.device)
    queries = outputs.plan_query.float().unflatten(1, (NUM_COMMANDS, -1))[rows, ego.command]
    points = _in_base(plan_positions(branch.offsets), view.base_from_network)
    return Lesson(points, branch.logits.softmax(dim=-1), queries)


def _in_base(positions: Tensor, base_from_network: Tensor) -> Tensor:
    """Ways of the LiDAR's origin [B, M, S, 2] to those of the rear axle, by the rule of the camera student's plans."""
    moved = [
        base_trajectories(one.double().cpu().numpy(), pose.cpu().numpy())[0]
        for one, pose in zip(positions, base_from_network, strict=True)
    ]
    return torch.stack([torch.from_numpy(points) for points in moved]).to(positions)


def distillation_losses(
    passed: PassOutputs, anchors: Tensor, lesson: Lesson, adapter: nn.Module, weights: PlanDistillationWeights
) -> dict[str, Tensor]:
    """Two terms per decoder layer, and one of the last layer's features.

    Scores: divergence of the modes' softmax from the shares of the teacher's modes, each at the anchor that answers
    for it. Plans: mean absolute error (m) of the way-points that both have, a mode counting by its share. Features:
    mean squared error, all modes alike, through the adapter.

    passed: of samples that are the anchors [N, P, 2] in order, one group.
    """
    batch, modes, steps = lesson.points.shape[:3]
    answering = nearest_anchor(anchors[:, :steps], lesson.points.flatten(0, 1)).view(batch, modes)
    rows = torch.arange(batch, device=answering.device)[:, None]
    wanted = torch.zeros(batch, len(anchors), device=answering.device).scatter_add(1, answering, lesson.shares)
    losses: dict[str, Tensor] = {}
    for layer, (poses, logits) in enumerate(zip(passed.poses, passed.mode_logits, strict=True)):
        if logits is None:
            raise ValueError("the pass did not classify its modes")
        divergence = F.kl_div(logits.float().log_softmax(dim=-1), wanted, reduction="batchmean")
        error = (poses[rows, answering, :steps, :2].float() - lesson.points).abs().mean(dim=(2, 3))
        losses[f"distill_scores_{layer}"] = weights.scores * divergence
        losses[f"distill_plans_{layer}"] = weights.plans * (error * lesson.shares).sum(dim=-1).mean()
    adapted = adapter(passed.features[-1][rows, answering]).float()
    losses["distill_features"] = weights.features * F.mse_loss(adapted, lesson.features)
    return losses
