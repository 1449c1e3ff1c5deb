"""Anchors, noise, denoising and selection: from scene features to trajectories (spec sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.bev_attention import BevSource
from distilldrive_ros.models.diffusiondrive.config import POINT_CODE_SIZE, DiffusionDriveConfig, Variant
from distilldrive_ros.models.diffusiondrive.denoiser import DenoisingLayer, LayerStack, PassOutputs, score_head
from distilldrive_ros.models.diffusiondrive.embeddings import TimeCode, heading_code, point_code
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.headings import bezier_yaw
from distilldrive_ros.models.diffusiondrive.noise import PlannerNoise
from distilldrive_ros.models.diffusiondrive.normalization import clamped_poses, denormalize, normalize
from distilldrive_ros.models.diffusiondrive.scene_encoder import SceneFeatures
from distilldrive_ros.models.diffusiondrive.schedule import NoiseSchedule, SamplingMode, sampler_plan
from distilldrive_ros.models.diffusiondrive.selector import (
    SUB_SCORES,
    ScorerLayer,
    SelectorOutputs,
    combined_score,
    progress_head,
)


@dataclass(frozen=True)
class PolicyOutputs:
    """`samples`: normalised [B, M, P, 2], the initial one and after each pass.

    `points` [B, M, P, 2] m: what the decoder saw in each pass; `passes`: what it returned.
    """

    samples: tuple[Tensor, ...]
    points: tuple[Tensor, ...]
    passes: tuple[PassOutputs, ...]


@dataclass(frozen=True)
class PlanOutputs:
    """`candidates` [B, N, P, 3]: x, y m and yaw rad in the ego frame; `scores` [B, N] in 0..1, NaN where not scored.

    `selector` is None for networks without one. V1's scores are the sigmoids of its mode classifier. The policy alone
    has no scores of its own: that classifier came with it from v1, untouched by the reinforcement, and all there is to
    order its candidates by.
    """

    candidates: Tensor
    scores: Tensor
    policy: PolicyOutputs
    selector: SelectorOutputs | None


class TrajectoryHead(nn.Module):
    """Truncated diffusion from anchors, and the mode selector. Names as in the official state dict."""

    def __init__(self, config: DiffusionDriveConfig) -> None:
        super().__init__()
        self.config = config
        width, points = config.embed_dim, config.num_points
        self.plan_anchor = nn.Parameter(torch.zeros(config.num_anchors, points, 2), requires_grad=False)
        self.plan_anchor_encoder = _code_encoder(points * POINT_CODE_SIZE, width, width)
        self.time_mlp = nn.Sequential(
            TimeCode(width), nn.Linear(width, 4 * width), nn.Mish(), nn.Linear(4 * width, width)
        )
        self.diff_decoder = LayerStack([DenoisingLayer(config) for _ in range(config.num_decoder_layers)])
        if config.variant is Variant.SELECTOR:
            self._add_selector(config)
        self._schedule = NoiseSchedule()

    def _add_selector(self, config: DiffusionDriveConfig) -> None:
        width = config.scorer_dim
        codes = 2 * config.num_points * POINT_CODE_SIZE
        self.plan_anchor_scorer_encoder = _code_encoder(codes, config.embed_dim, width)
        self.scorer_decoder = LayerStack([ScorerLayer(config)])
        self.fine_scorer_decoder = LayerStack([ScorerLayer(config) for _ in range(config.num_fine_layers)])
        for stage in ("", "fine_"):
            for name in SUB_SCORES:
                head = progress_head(width) if name == "EP" else score_head(width)
                self.add_module(f"{stage}{name}_head", head)

    def forward(
        self, scene: SceneFeatures, noise: PlannerNoise, sampling: SamplingMode, execution: Execution
    ) -> PlanOutputs:
        """Plan for B frames. Scores of candidates depend on each other: never mix candidates of several frames."""
        policy = self.sample(scene, noise.initial, sampling, execution)
        last = policy.passes[-1]
        logits = last.mode_logits[-1]
        variant = self.config.variant
        if variant is Variant.SELECTOR:
            candidates = self._all_candidates(policy.samples[-1], noise.factors)
            selector = self.select(candidates, scene, execution)
            scores = torch.full_like(selector.coarse_score, float("nan"))
            scores = scores.scatter(1, selector.selected, selector.fine_score[-1])
            return PlanOutputs(candidates, scores, policy, selector)
        assert logits is not None
        candidates = (
            last.poses[-1] if variant is Variant.V1 else self._all_candidates(policy.samples[-1], noise.factors)
        )
        return PlanOutputs(candidates, logits.sigmoid(), policy, None)

    def sample(
        self, scene: SceneFeatures, noise: Tensor, sampling: SamplingMode, execution: Execution
    ) -> PolicyOutputs:
        """Denoise from the anchors; noise [B, M, P, 2] standard normal, M = groups x anchors, group-major."""
        variant = self.config.variant
        plan = sampler_plan(sampling)
        anchors = normalize(self.plan_anchor, variant).repeat(noise.shape[1] // len(self.plan_anchor), 1, 1)
        sample = self._schedule.add_noise(anchors, noise, plan.start)
        samples, seen, passes = [sample], [], []
        sources = self._bev_sources(scene, execution)
        for index, (timestep, following) in enumerate(plan.steps):
            points = denormalize(sample.clamp(-1, 1), variant)
            with_modes = execution is Execution.PLAIN or self._modes_wanted(index, len(plan.steps))
            result = self._denoise(points, timestep, scene, sources, execution, with_modes)
            predicted = normalize(result.poses[-1][..., :2], variant)
            sample = self._schedule.step(sample, predicted, timestep, following)
            samples.append(sample)
            seen.append(points)
            passes.append(result)
        return PolicyOutputs(tuple(samples), tuple(seen), tuple(passes))

    def select(self, candidates: Tensor, scene: SceneFeatures, execution: Execution) -> SelectorOutputs:
        """Score candidates [B, N, P, 3] in two stages."""
        points, yaw = clamped_poses(candidates)
        feature = self.plan_anchor_scorer_encoder(torch.cat([point_code(points), heading_code(yaw)], dim=-1))
        coarse = self.scorer_decoder.layers[0](feature, points, scene, execution)
        coarse_logits = self._logits("", coarse)
        coarse_score = combined_score(coarse_logits)
        selected = coarse_score.topk(self.config.num_selected, dim=1).indices
        fine = coarse.gather(1, selected[..., None].expand(-1, -1, coarse.shape[-1]))
        points = points.gather(1, selected[..., None, None].expand(-1, -1, *points.shape[2:]))
        features, logits = [], []
        for layer in self.fine_scorer_decoder.layers:
            fine = layer(fine, points, scene, execution)
            features.append(fine)
            logits.append(self._logits("fine_", fine))
        return SelectorOutputs(
            coarse, coarse_logits, coarse_score, selected, tuple(features), tuple(logits),
            tuple(combined_score(x) for x in logits),
        )  # fmt: skip

    def _denoise(
        self,
        points: Tensor,
        timestep: int,
        scene: SceneFeatures,
        sources: list[BevSource],
        execution: Execution,
        with_modes: bool,
    ) -> PassOutputs:
        feature = self.plan_anchor_encoder(point_code(points))
        time = self.time_mlp(torch.full((1,), timestep, device=points.device))[:, None]
        poses, modes = [], []
        layers = self._denoising_layers()
        for index, layer in enumerate(layers):
            last = index + 1 == len(layers)
            source = sources[index]
            if execution is Execution.PLAIN:
                source = layer.cross_bev_attention.value_map(scene.cross_bev)
            wanted = with_modes and (last or execution is Execution.PLAIN)
            pose, logit, _ = layer(feature, points, time, scene, source, execution, wanted)
            points = pose[..., :2]
            poses.append(pose)
            modes.append(logit)
        return PassOutputs(tuple(poses), tuple(modes))

    def denoise(self, points: Tensor, timesteps: Tensor, scene: SceneFeatures) -> PassOutputs:
        """One pass as it is trained: every stream has its own timestep, all layers classify their modes, and no
        gradient flows through the way-points from layer to layer.

        points [B, M, P, 2] m, timesteps [B] int64.
        """
        feature = self.plan_anchor_encoder(point_code(points))
        time = self.time_mlp(timesteps)[:, None]
        poses, modes, features = [], [], []
        for layer in self._denoising_layers():
            values = layer.cross_bev_attention.value_map(scene.cross_bev)
            pose, logit, decoded = layer(feature, points, time, scene, values, Execution.PLAIN, True)
            points = pose[..., :2].detach()
            poses.append(pose)
            modes.append(logit)
            features.append(decoded)
        return PassOutputs(tuple(poses), tuple(modes), tuple(features))

    def _modes_wanted(self, index: int, count: int) -> bool:
        return self.config.variant is not Variant.SELECTOR and index + 1 == count

    def _denoising_layers(self) -> list[DenoisingLayer]:
        return [cast(DenoisingLayer, layer) for layer in self.diff_decoder.layers]

    def _bev_sources(self, scene: SceneFeatures, execution: Execution) -> list[BevSource]:
        """What each layer samples, once for all passes."""
        if execution is Execution.SPARSE:
            return [scene.padded_bev for _ in self._denoising_layers()]
        return [layer.cross_bev_attention.value_map(scene.cross_bev) for layer in self._denoising_layers()]

    def _all_candidates(self, sample: Tensor, factors: Tensor) -> Tensor:
        """Normalised samples [B, M, P, 2] and their scaled copies, as poses [B, (1 + copies) M, P, 3]."""
        copies = [sample, *(sample * factor[:, :, None] for factor in factors)]
        points = denormalize(torch.cat(copies, dim=1), self.config.variant)
        return torch.cat([points, bezier_yaw(points)[..., None]], dim=-1)

    def _logits(self, stage: str, feature: Tensor) -> Tensor:
        return torch.stack([self.get_submodule(f"{stage}{n}_head")(feature).squeeze(-1) for n in SUB_SCORES], dim=1)


def _code_encoder(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.LayerNorm(hidden), nn.Linear(hidden, outputs))
