"""The exported graphs, run by ONNX Runtime, against the network: a first frame, and one with its memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distilldrive_ros.models.distilldrive import export
from distilldrive_ros.models.distilldrive.config import DetectionConfig, DistillDriveConfig, MapConfig, MotionConfig
from distilldrive_ros.models.distilldrive.initialization import untrained_network
from distilldrive_ros.models.distilldrive.instance_queue import with_full_queue
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentInputs
from distilldrive_ros.models.ops.deformable_aggregation import deformable_aggregation
from distilldrive_ros.models.ops.deformable_aggregation.grid_sample_form import grid_sample_form
from distilldrive_ros.scene.errors import ConfigurationError

HISTORIES = tuple(f"next.queue.{name}" for name in ("agent_feature", "agent_box", "ego_feature", "ego_box"))

# Two runtimes round differently, more with every frame of memory; the motion feels it most (3e-4 m in three frames).
ROUNDING = 2e-3


@pytest.fixture(scope="module")
def network() -> StudentNetwork:
    """As small as a student can be that still has every operation: history in both heads and in the motion head."""
    config = DistillDriveConfig(
        name="student_nano",
        image_width=64,
        image_height=64,
        cameras=("CAM_FRONT", "CAM_BACK"),
        backbone="resnet18",
        backbone_width=8,
        embed_dim=32,
        num_heads=2,
        num_groups=2,
        detection=DetectionConfig(num_anchors=12, num_temporal=8, num_output=6, num_decoders=2),
        map=MapConfig(num_anchors=6, num_points=4, num_temporal=2, num_output=6, num_decoders=2, heights=(0.0,)),
        motion=MotionConfig(num_decoders=1, num_agent_keys=4, num_map_keys=3),
    )
    return untrained_network(config, torch.Generator().manual_seed(0))


def make_inputs(config: DistillDriveConfig, t: int) -> StudentInputs:
    """A camera ahead and one behind; 2 m and half a second per frame."""
    generator = torch.Generator().manual_seed(t)
    projection = torch.zeros(1, 2, 4, 4)
    for camera, ahead in enumerate((1.0, -1.0)):
        projection[0, camera, 0, :2] = torch.tensor([40 * ahead, 32 * ahead])
        projection[0, camera, 1, 1:3] = torch.tensor([32 * ahead, -40.0])
        projection[0, camera, 2, 1] = ahead
        projection[0, camera, 3, 3] = 1.0
    pose = torch.eye(4, dtype=torch.float64)[None].clone()
    pose[0, :2, :2] = torch.tensor([[np.cos(0.1 * t), -np.sin(0.1 * t)], [np.sin(0.1 * t), np.cos(0.1 * t)]])
    pose[0, 1, 3] = 2.0 * t
    return StudentInputs(
        torch.randn(1, 2, 3, config.image_height, config.image_width, generator=generator),
        projection,
        torch.tensor([64.0, 64.0]).expand(1, 2, 2),
        torch.tensor([100.0 + 0.5 * t], dtype=torch.float64),
        pose,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_graphs_give_what_the_network_gives(network: StudentNetwork, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    files = export.export_student(network, tmp_path / "student.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student.first.onnx", "student.onnx"]
    sessions = [runtime.InferenceSession(file.path, providers=["CPUExecutionProvider"]) for file in files]
    memory: dict[str, NDArray[Any]] = {}
    state = None
    for t in range(3):
        inputs = make_inputs(network.config, t)
        feed = {name: getattr(inputs, name).numpy() for name in ("images", "projection", "image_size")}
        if state is not None:
            transform = torch.linalg.inv(inputs.world_from_lidar) @ state.world_from_lidar
            feed["elapsed"] = (inputs.timestamp - state.timestamp).float().numpy()
            feed["transform"] = transform.float().numpy()
            feed.update({f"state.{name}": tensor for name, tensor in memory.items()})
        file, session = files[min(t, 1)], sessions[min(t, 1)]
        assert {i.name: tuple(i.shape) for i in session.get_inputs()} == file.inputs
        found = dict(zip(file.outputs, session.run(list(file.outputs), feed), strict=True))
        with torch.inference_mode():
            state, outputs = network(state, inputs)
        expected = export.published(outputs)
        expected.update({f"next.{name}": tensor for name, tensor in export.remembered(state, network).items()})
        assert set(found) == set(expected)
        for name, tensor in expected.items():
            assert found[name].shape == tuple(tensor.shape)
            if name in HISTORIES:
                # What lies before the oldest frame does not count; the graph moves it along with the rest.
                steps = slice(-state.queue.agent_box.shape[1], None)
                np.testing.assert_allclose(found[name][:, steps], tensor[:, steps].numpy(), atol=ROUNDING, rtol=2e-3)
                continue
            np.testing.assert_allclose(
                found[name], tensor.numpy(), atol=ROUNDING, rtol=2e-3, err_msg=f"frame {t}: {name}"
            )
        memory = {name[len("next.") :]: value for name, value in found.items() if name.startswith("next.")}


def test_decomposed_aggregation_is_the_op() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = [(6, 8), (3, 4)]
    shapes = torch.tensor(sizes).expand(3, -1, -1)
    areas = shapes.prod(dim=-1).flatten()
    starts = (areas.cumsum(0) - areas).view(3, -1)
    features = torch.randn(2, int(areas.sum()), 8, generator=generator)
    locations = torch.rand(2, 5, 4, 3, 2, generator=generator) * 2 - 0.5
    locations[0, 0, 0] = torch.tensor([[1e9, -1e9], [0.0, 0.5], [1.0, 1.0]])
    weights = torch.rand(2, 5, 4, 3, 2, 4, generator=generator)
    expected = deformable_aggregation(features, shapes, starts, locations, weights)
    found = grid_sample_form(sizes)(features, shapes, starts, locations, weights)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_missing_packages_are_named(network: StudentNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PACKAGES", ("onnx_of_another_world",))
    with pytest.raises(
        ConfigurationError, match=r"needs onnx_of_another_world; install them: .*distilldrive_ros\[export\]"
    ):
        export.export_student(network, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_padding_of_a_young_queue_does_not_count(network: StudentNetwork) -> None:
    """The graph of later frames has a full queue: zeros before the oldest frame change nothing."""
    first, second = (make_inputs(network.config, t) for t in range(2))
    with torch.inference_mode():
        state, _ = network(None, first)
        padded = with_full_queue(state, network.config.motion.queue_length)
        _, expected = network(state, second)
        _, found = network(padded, second)
    torch.testing.assert_close(found.motion.plan_offsets, expected.motion.plan_offsets)
    torch.testing.assert_close(found.motion.motion_logits, expected.motion.motion_logits)
