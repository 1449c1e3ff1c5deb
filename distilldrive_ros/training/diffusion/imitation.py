"""The imitation stage of DiffusionDrive: everything but the selector learns from the drive (its spec, 4.7)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from distilldrive_ros.models.diffusiondrive.checkpoint import is_selector_entry
from distilldrive_ros.models.diffusiondrive.denoiser import PassOutputs
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.diffusiondrive.normalization import denormalize, normalize
from distilldrive_ros.models.diffusiondrive.scene_encoder import SceneFeatures
from distilldrive_ros.models.diffusiondrive.schedule import NoiseSchedule
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.diffusion.losses import ImitationWeights, agent_losses, bev_loss, trajectory_losses
from distilldrive_ros.training.stages.official import load_exactly, prefixed
from distilldrive_ros.training.stages.stage import TrainedPart

TIMESTEPS = 50
"""Noise levels that training draws from, each as likely."""


class ImitationStage(TrainedPart):
    """Trains `network` of any variant; a mode selector is frozen, it is trained by a stage of its own."""

    def __init__(
        self, network: DiffusionDriveNetwork, seed: int, weights: ImitationWeights | None = None, noise_draws: int = 1
    ) -> None:
        """`noise_draws`: noisy anchors that each frame is trained with at once; 1 as published."""
        super().__init__()
        self.noise_draws = noise_draws
        network.execution = Execution.PLAIN
        self.network = network
        self.loss_weights = weights or ImitationWeights()
        self._generator = torch.Generator().manual_seed(seed)
        self._schedule = NoiseSchedule()
        for name, parameter in network.named_parameters():
            if is_selector_entry(name):
                parameter.requires_grad_(False)

    def forward(self, batch: DiffusionBatch) -> dict[str, Tensor]:
        """`compute_losses`, under the name that wrappers such as DistributedDataParallel call."""
        return self.compute_losses(batch)

    def compute_losses(self, batch: DiffusionBatch) -> dict[str, Tensor]:
        """Weighted loss terms by name, scalars; the objective is their plain sum.

        Raises ValueError: the batch does not fit the network.
        """
        network, weights = self.network, self.loss_weights
        features = network.extract_features(batch.inputs())
        scene = network.encode_scene(features, batch.status)
        return {
            **self._mean_plan_losses(scene, batch),
            **agent_losses(network.decode_agents(scene), batch, weights),
            "bev_semantic": bev_loss(network.decode_bev(features), batch, weights),
        }

    def plan_losses(self, passed: PassOutputs, batch: DiffusionBatch) -> dict[str, Tensor]:
        """Terms of one denoising pass from all anchors."""
        return trajectory_losses(passed, self.network.trajectory_head.plan_anchor, batch, self.loss_weights)

    def _mean_plan_losses(self, scene: SceneFeatures, batch: DiffusionBatch) -> dict[str, Tensor]:
        """Over all draws of noise: the sensors, which cost the most, are looked at once for all."""
        head, draws = self.network.trajectory_head, []
        for _ in range(self.noise_draws):
            points, timesteps = self._noisy_anchors(batch.size, batch.trajectory.device)
            draws.append(self.plan_losses(head.denoise(points, timesteps, scene), batch))
        return {name: torch.stack([losses[name] for losses in draws]).mean() for name in draws[0]}

    def _noisy_anchors(self, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Anchors at a random noise level per frame [B, N, P, 2] m, and the levels [B]; the same on every device."""
        variant = self.network.config.variant
        anchors = normalize(self.network.trajectory_head.plan_anchor.detach(), variant)
        timesteps = torch.randint(0, TIMESTEPS, (size,), generator=self._generator)
        noise = torch.randn(size, *anchors.shape, generator=self._generator).to(device)
        noisy = [self._schedule.add_noise(anchors, noise[row], int(t)) for row, t in enumerate(timesteps)]
        return denormalize(torch.stack(noisy).clamp(-1, 1), variant), timesteps.to(device)

    def reseed(self, seed: int) -> None:
        """See TrainedPart: noise levels and noise."""
        self._generator.manual_seed(seed)

    def forget(self) -> None:
        """Nothing is remembered: frames are independent."""

    def weights(self) -> dict[str, Tensor]:
        """See TrainedPart; the selector's entries are left out."""
        return {key: value for key, value in prefixed(self.network).items() if not is_selector_entry(key)}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """See TrainedPart."""
        load_exactly(self.network, weights, self.weights(), "")
