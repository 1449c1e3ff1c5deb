"""DiffusionDrive as one pure function: (camera, LiDAR, status, noise) -> trajectories, agents, map. Spec 3 to 6."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilldrive_ros.models.diffusiondrive.backbone import BackboneOutputs, TransfuserBackbone, Trunk
from distilldrive_ros.models.diffusiondrive.config import NUM_BEV_CLASSES, STATUS_SIZE, DiffusionDriveConfig
from distilldrive_ros.models.diffusiondrive.execution import Execution
from distilldrive_ros.models.diffusiondrive.noise import PlannerNoise
from distilldrive_ros.models.diffusiondrive.scene_encoder import (
    AgentHead,
    AgentOutputs,
    SceneFeatures,
    cross_bev_map,
    decode_queries,
    hoisted_cross_bev_map,
)
from distilldrive_ros.models.diffusiondrive.schedule import SamplingMode
from distilldrive_ros.models.diffusiondrive.trajectory_head import PlanOutputs, PolicyOutputs, TrajectoryHead
from distilldrive_ros.models.distilldrive.state import all_finite
from distilldrive_ros.models.tensor_checks import require_tensor


@dataclass(frozen=True)
class DiffusionInputs:
    """camera [B, 3, H, W] float32 RGB in 0..1; lidar [B, 1, L, L] float32 in 0..1, x along rows, y along columns;
    status [B, 8] float32: command (left, straight, right, unknown), vx, vy m/s, ax, ay m/s^2."""

    camera: Tensor
    lidar: Tensor
    status: Tensor

    def to(self, device: torch.device | str) -> DiffusionInputs:
        """Copy on another device."""
        return DiffusionInputs(self.camera.to(device), self.lidar.to(device), self.status.to(device))


@dataclass(frozen=True)
class DiffusionOutputs:
    """Everything of one frame.

    `bev_semantic` [B, 7, R, 2 R] logits: row r is x = r * range / R m ahead, columns run from y = -range (right) to
    +range (left).
    """

    plan: PlanOutputs
    agents: AgentOutputs
    bev_semantic: Tensor

    def is_finite(self) -> bool:
        """Whether all published numbers are finite; scores of candidates that nobody scored do not count."""
        return bool(self.finite())

    def finite(self) -> Tensor:
        """As `is_finite`, one bool on the device of the outputs."""
        selector = self.plan.selector
        scores = self.plan.scores if selector is None else selector.fine_score[-1]
        published = (self.plan.candidates, scores, self.agents.states, self.agents.logits, self.bev_semantic)
        return all_finite(*published)

    def decodable(self) -> DiffusionOutputs:
        """What decoding reads, and no more: nothing of the way to the candidates, of the selector its last scores."""
        selector = self.plan.selector
        if selector is not None:
            no_rows = selector.coarse_feature[:, :0]
            selector = replace(
                selector,
                coarse_feature=no_rows,
                fine_features=(),
                fine_logits=selector.fine_logits[-1:],
                fine_score=selector.fine_score[-1:],
            )
        return replace(self, plan=replace(self.plan, policy=PolicyOutputs((), (), ()), selector=selector))


class DiffusionDriveNetwork(nn.Module):
    """The network. It keeps nothing between calls; parameters carry the official names (spec 10).

    `execution` may be changed at any time; it changes the speed, not the result.
    """

    def __init__(self, config: DiffusionDriveConfig, execution: Execution = Execution.SPARSE) -> None:
        super().__init__()
        self.config = config
        self.execution = execution
        width = config.embed_dim
        self._backbone = TransfuserBackbone(config)
        last = self._backbone.image_encoder.out_channels[-1]
        self._keyval_embedding = nn.Embedding(config.lidar_grid**2 + 1, width)
        self._query_embedding = nn.Embedding(1 + config.num_agents, width)
        self._bev_downscale = nn.Conv2d(last, width, 1)
        self._status_encoding = nn.Linear(STATUS_SIZE, width)
        channels = config.bev_channels
        self._bev_semantic_head = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, NUM_BEV_CLASSES, 1)
        )
        layer = nn.TransformerDecoderLayer(width, config.num_heads, 4 * width, dropout=0.0, batch_first=True)
        self._tf_decoder = nn.TransformerDecoder(layer, config.num_query_layers)
        self._agent_head = AgentHead(config)
        self._trajectory_head = TrajectoryHead(config)
        self.bev_proj = nn.Sequential(nn.Linear(width + channels, width), nn.ReLU(), nn.LayerNorm(width))

    @property
    def backbone(self) -> TransfuserBackbone:
        """The part that looks."""
        return self._backbone

    @property
    def trajectory_head(self) -> TrajectoryHead:
        """The part that plans."""
        return self._trajectory_head

    def forward(
        self, inputs: DiffusionInputs, noise: PlannerNoise, sampling: SamplingMode = SamplingMode.COMPATIBLE
    ) -> DiffusionOutputs:
        """One frame of B streams. All randomness is in `noise`.

        Raises:
            ValueError: shape, type or device of an input is wrong.
        """
        features = self.extract_features(inputs)
        scene = self.encode_scene(features, inputs.status)
        return self.decode(features, scene, noise, sampling)

    def extract_features(self, inputs: DiffusionInputs, trunks: tuple[Trunk, Trunk] | None = None) -> BackboneOutputs:
        """Sensor tensors -> bird's-eye features. `trunks`: see `TransfuserBackbone.forward`."""
        self.check(inputs)
        features: BackboneOutputs = self._backbone(inputs.camera, inputs.lidar, self.execution, trunks)
        return features

    def check(self, inputs: DiffusionInputs) -> None:
        """Raises ValueError, which names the argument, unless all inputs fit the configuration and the device."""
        c, device = self.config, self._status_encoding.weight.device
        batch = inputs.camera.shape[0] if inputs.camera.dim() else 0
        expected = {"camera": (3, c.image_height, c.image_width), "lidar": (1, c.lidar_cells, c.lidar_cells),
                    "status": (STATUS_SIZE,)}  # fmt: skip
        for name, shape in expected.items():
            require_tensor(name, getattr(inputs, name), (batch, *shape), torch.float32, device)

    def encode_scene(self, features: BackboneOutputs, status: Tensor) -> SceneFeatures:
        """Bird's-eye features and ego status -> what the planner attends to."""
        bev_tokens = self._bev_downscale(features.bev).flatten(2).transpose(1, 2)
        tokens = torch.cat([bev_tokens, self._status_encoding(status)[:, None]], dim=1) + self._keyval_embedding.weight
        targets = self._query_embedding.weight[None].expand(len(status), -1, -1)
        queries = decode_queries(self._tf_decoder, targets, tokens)
        ego, agents = queries[-1][:, :1], queries[-1][:, 1:]
        to_map = cross_bev_map if self.execution is Execution.PLAIN else hoisted_cross_bev_map
        cross_bev = to_map(tokens[:, :-1], features.bev_up, self.bev_proj)
        return SceneFeatures(cross_bev, ego, agents, tokens, queries)

    def decode(
        self, features: BackboneOutputs, scene: SceneFeatures, noise: PlannerNoise, sampling: SamplingMode
    ) -> DiffusionOutputs:
        """Agents, map and trajectories."""
        plan = self._trajectory_head(scene, noise, sampling, self.execution)
        return DiffusionOutputs(plan, self.decode_agents(scene), self.decode_bev(features))

    def decode_agents(self, scene: SceneFeatures) -> AgentOutputs:
        """Vehicles around."""
        agents: AgentOutputs = self._agent_head(scene.agents_query)
        return agents

    def decode_bev(self, features: BackboneOutputs) -> Tensor:
        """Map classes ahead, logits as `DiffusionOutputs.bev_semantic`."""
        side = self.config.lidar_cells
        logits = self._bev_semantic_head(features.bev_up)
        return F.interpolate(logits, size=(side // 2, side), mode="bilinear", align_corners=False)
