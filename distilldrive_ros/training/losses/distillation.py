"""What the student takes over from its teacher (spec 8.3)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.distilldrive.outputs import MotionOutputs
from distilldrive_ros.models.teacher.state import TeacherOutputs
from distilldrive_ros.training.losses.weights import LossWeights


def distillation_losses(
    student: MotionOutputs, teacher: TeacherOutputs, adapter: nn.Module, weights: LossWeights
) -> dict[str, Tensor]:
    """All modes of all commands: plan queries through the student's feature adapter, logits, offsets, ego queries.

    As published only the first has a weight.
    """
    student_log = student.plan_logits.float().log_softmax(dim=-1)
    teacher_share = teacher.plan_logits.float().softmax(dim=-1)
    divergence = F.kl_div(student_log, teacher_share, reduction="batchmean")
    features = F.mse_loss(adapter(student.plan_query).float(), teacher.plan_query.float())
    return {
        "kd_loss_cls": weights.distill_cls * divergence,
        "kd_loss_reg": weights.distill_reg * F.l1_loss(student.plan_offsets.float(), teacher.plan_offsets.float()),
        "kd_loss_feats": weights.distill_features * features,
        "kd_loss_en_feats": weights.distill_queries
        * F.mse_loss(student.ego_queries.float(), teacher.ego_queries.float()),
    }
