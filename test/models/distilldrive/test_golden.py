"""Full-size student against numbers recorded from the reference; tolerances as their README recommends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from distilldrive_ros.models.distilldrive.decoding import decode_map, decode_objects
from distilldrive_ros.models.distilldrive.engine import EngineOptions, StudentEngine
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.outputs import StudentOutputs
from distilldrive_ros.models.distilldrive.state import BankState, IdentityState, StudentState, state_tensors

from .conftest import GoldenRun, InputsFactory

# The first test builds the network and runs the full-size passes for all of them.
pytestmark = pytest.mark.timeout(900)

NUM_BOXES = 900
Recorded = dict[str, NDArray[np.float64]]


@pytest.fixture(scope="session")
def recorded(golden_dir: Path) -> Iterator[Recorded]:
    """Arrays of frames.npz by `frame<t>/<name>`."""
    with np.load(golden_dir / "frames.npz") as file:
        yield {name: file[name] for name in file.files}


def deviation(actual: Tensor, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Absolute difference over (1 + abs-mean of the expected array)."""
    assert tuple(actual.shape) == expected.shape
    return np.abs(actual.double().numpy() - expected) / (1 + np.abs(expected).mean())


def select(levels: tuple[Tensor, ...], outputs: StudentOutputs, state: StudentState) -> dict[str, Tensor]:
    """The slices of frames.npz."""
    det, polylines, motion, queue = outputs.detection, outputs.map, outputs.motion, state.queue
    slices = {
        "fpn_abs_mean": torch.stack([level.abs().mean() for level in levels]),
        "det_feature": det.feature[0, :32],
        "det_embed": det.embed[0, :8],
        "map_feature": polylines.feature[0, :8],
        "motion_logits": motion.motion_logits[0, :32],
        "motion_offsets": motion.motion_offsets[0, :32],
        "ego_queries": motion.ego_queries[0],
        "present_mu_agents": motion.present.mean[0, :8],
        "present_log_sigma_agents": motion.present.log_sigma[0, :8],
        "present_mu_ego": motion.present.mean[0, NUM_BOXES:],
        "present_log_sigma_ego": motion.present.log_sigma[0, NUM_BOXES:],
        "plan_query": motion.plan_query[0],
        "plan_logits": motion.plan_logits[0],
        "plan_offsets": motion.plan_offsets[0],
        "status": motion.status[0],
        "bank_det_feature": state.detection.feature[0, :32],
        "bank_det_anchor": state.detection.anchor[0, :32],
        "bank_det_confidence": state.detection.confidence[0],
        "bank_map_feature": state.map.feature[0, :32],
        "bank_map_anchor": state.map.anchor[0],
        "bank_map_confidence": state.map.confidence[0],
        "queue_agent_feature": queue.agent_feature[0, :, :8],
        "queue_agent_box": queue.agent_box[0, :, :32],
        "queue_ego_feature": queue.ego_feature[0],
        "queue_ego_box": queue.ego_box[0, :, 0],
    }
    for i, level in enumerate(levels):
        slices[f"fpn{i}"] = level[0, 0, :8, :4, :8]
    for i, block in enumerate(motion.ego_blocks):
        slices[f"ego_feature_block{i + 1}"] = block[0]
    for layer, index in ((1, 0), (6, -1)):
        slices[f"det_logits_layer{layer}"] = det.logits[index][0, :64]
        slices[f"det_boxes_layer{layer}"] = det.anchors[index][0, :64]
        quality = det.quality[index]
        assert quality is not None
        slices[f"det_quality_layer{layer}"] = quality[0, :64]
        slices[f"map_logits_layer{layer}"] = polylines.logits[index][0, :16]
        slices[f"map_points_layer{layer}"] = polylines.anchors[index][0, :16].unflatten(-1, (-1, 2))
    return slices


FRAME_0 = {
    "fpn_abs_mean": 1e-5,
    **dict.fromkeys(("fpn0", "fpn1", "fpn2", "fpn3"), 5e-5),
    **dict.fromkeys(("det_logits_layer1", "det_boxes_layer1", "det_quality_layer1"), 5e-5),
    **dict.fromkeys(("map_logits_layer1", "map_points_layer1"), 5e-5),
    **dict.fromkeys(("det_logits_layer6", "det_boxes_layer6", "det_quality_layer6"), 5e-3),
    **dict.fromkeys(("det_feature", "det_embed", "queue_agent_feature", "queue_agent_box"), 5e-3),
    **dict.fromkeys(("map_logits_layer6", "map_points_layer6", "map_feature"), 2e-3),
    **dict.fromkeys(("bank_map_feature", "bank_map_anchor", "bank_map_confidence"), 2e-3),
    **dict.fromkeys(("plan_logits", "plan_offsets", "status", "plan_query", "ego_queries"), 5e-4),
    **dict.fromkeys(("ego_feature_block1", "ego_feature_block2", "ego_feature_block3"), 5e-4),
    **dict.fromkeys(("queue_ego_feature", "queue_ego_box"), 5e-4),
    **dict.fromkeys(("present_mu_ego", "present_log_sigma_ego"), 5e-4),
    **dict.fromkeys(("present_mu_agents", "present_log_sigma_agents"), 5e-4),
    "bank_det_confidence": 1e-3,
}

FRAME_1_EVERYWHERE = {
    **dict.fromkeys(("plan_logits", "plan_offsets", "status", "plan_query"), 1e-3),
    **dict.fromkeys(("map_logits_layer6", "map_points_layer6", "map_feature"), 2e-3),
    **dict.fromkeys(("det_logits_layer1", "det_boxes_layer1", "det_quality_layer1"), 5e-5),
    **dict.fromkeys(("queue_ego_feature", "queue_ego_box"), 1e-3),
    "bank_det_confidence": 1e-3,
}

FRAME_1_MOSTLY = ("det_logits_layer6", "det_boxes_layer6", "det_quality_layer6", "queue_agent_box")


@pytest.mark.parametrize(("name", "tolerance"), FRAME_0.items())
def test_frame_0_matches(golden_run: GoldenRun, recorded: Recorded, name: str, tolerance: float) -> None:
    actual = select(golden_run.levels, golden_run.outputs, golden_run.state)[name]
    assert deviation(actual, recorded[f"frame0/{name}"]).max() <= tolerance


def test_frame_0_motion_matches_on_most_rows(golden_run: GoldenRun, recorded: Recorded) -> None:
    """An agent whose two best classes tie may take another motion anchor: its whole row changes."""
    actual = select(golden_run.levels, golden_run.outputs, golden_run.state)["motion_offsets"]
    row_error = deviation(actual, recorded["frame0/motion_offsets"]).max(axis=(1, 2, 3))
    assert (row_error <= 1e-1).mean() >= 0.98


def test_frame_0_identities(golden_run: GoldenRun, recorded: Recorded) -> None:
    outputs, state = golden_run.outputs, golden_run.state
    assert np.array_equal(outputs.ids[0].numpy(), recorded["frame0/det_ids"])
    assert np.array_equal(outputs.motion.period[0].numpy(), recorded["frame0/motion_period"])
    assert outputs.motion.ego_period.tolist() == recorded["frame0/ego_period"].tolist()
    assert int(state.identity.next_id) == int(recorded["frame0/bank_det_next_id"])
    cached, expected = state.identity.ids[0].numpy(), recorded["frame0/bank_det_ids"]
    assert sorted(cached) == sorted(expected)
    # Rows of nearly equal confidence swap with the order of sums, so with threads and processors: 2 to 3 % here.
    assert (cached == expected).mean() >= 0.95


def test_frame_0_decoding(golden_run: GoldenRun, recorded: Recorded) -> None:
    """Scores in order; the best boxes as sets of numbers, for neighbours with nearly equal scores may swap."""
    objects = decode_objects(golden_run.outputs, 300)
    assert deviation(objects.scores, recorded["frame0/dec_scores"]).max() <= 1e-3
    by_class_score = objects.class_scores.sort(descending=True).values
    assert deviation(by_class_score, recorded["frame0/dec_cls_scores"]).max() <= 1e-3
    same = objects.ids.numpy() == recorded["frame0/dec_ids"]
    assert same.mean() >= 0.95
    assert (objects.labels.numpy() == recorded["frame0/dec_labels"])[same].mean() >= 0.98
    relative = deviation(objects.boxes[:32], recorded["frame0/dec_boxes"])[same[:32]]
    assert np.quantile(relative, 0.98) <= 5e-3
    trajectories = deviation(objects.trajectories[:8], recorded["frame0/dec_trajectories"])[same[:8]]
    assert np.quantile(trajectories, 0.98) <= 1e-1
    scores = deviation(objects.trajectory_scores[:32], recorded["frame0/dec_trajectory_scores"])[same[:32]]
    assert np.quantile(scores, 0.98) <= 5e-3


def test_frame_0_map_decoding(golden_run: GoldenRun, recorded: Recorded) -> None:
    decoded = decode_map(golden_run.outputs.map, 100)
    assert deviation(decoded.scores, recorded["frame0/map_dec_scores"]).max() <= 1e-3
    assert (decoded.labels.numpy() == recorded["frame0/map_dec_labels"]).mean() >= 0.98
    assert np.quantile(deviation(decoded.vectors[:16], recorded["frame0/map_dec_vectors"]), 0.9) <= 2e-3


def test_complete_state_after_frame_0(golden_run: GoldenRun, reference_state: StudentState) -> None:
    """All rows of all tensors; remembered boxes by id, for rows of nearly equal confidence may have swapped."""
    assert golden_run.state.is_finite()
    actual, expected = (_rows_by_id(state) for state in (golden_run.state, reference_state))
    for mine, theirs in zip(state_tensors(actual), state_tensors(expected), strict=True):
        assert mine.dtype == theirs.dtype
        assert deviation(mine.double(), theirs.double().numpy()).max() <= 5e-3


def _rows_by_id(state: StudentState) -> StudentState:
    """The same state with the rows of the detection bank in the order of their ids."""
    rows = state.detection.feature.shape[1]
    order = state.identity.ids[0, :rows].argsort()
    bank = BankState(*(tensor[:, order] for tensor in state_tensors(state.detection)))
    ids = torch.cat((state.identity.ids[:, order], state.identity.ids[:, rows:]), dim=1)
    return replace(state, detection=bank, identity=IdentityState(ids, state.identity.next_id))


@pytest.mark.parametrize(("name", "tolerance"), FRAME_1_EVERYWHERE.items())
def test_frame_1_from_recorded_state(golden_run: GoldenRun, recorded: Recorded, name: str, tolerance: float) -> None:
    state, outputs = golden_run.from_reference
    actual = select(golden_run.next_levels, outputs, state)[name]
    assert deviation(actual, recorded[f"frame1/{name}"]).max() <= tolerance


@pytest.mark.parametrize("name", FRAME_1_MOSTLY)
def test_frame_1_detection_from_recorded_state(golden_run: GoldenRun, recorded: Recorded, name: str) -> None:
    state, outputs = golden_run.from_reference
    error = deviation(select(golden_run.next_levels, outputs, state)[name], recorded[f"frame1/{name}"])
    assert np.quantile(error, 0.98) <= 5e-3


def test_frame_1_identities_from_recorded_state(golden_run: GoldenRun, recorded: Recorded) -> None:
    state, outputs = golden_run.from_reference
    assert (outputs.ids[0].numpy() == recorded["frame1/det_ids"]).mean() >= 0.98
    assert np.array_equal(outputs.motion.period[0].numpy(), recorded["frame1/motion_period"])
    assert outputs.motion.ego_period.tolist() == recorded["frame1/ego_period"].tolist()
    assert int(state.identity.next_id) == int(recorded["frame1/bank_det_next_id"])
    confidence = deviation(state.queue.confidence[0], recorded["frame1/queue_prev_confidence"])
    assert np.quantile(confidence, 0.98) <= 1e-3


def test_frame_1_as_stream(golden_run: GoldenRun, recorded: Recorded) -> None:
    """Rows may have swapped since frame 0: match by id, and demand the median where a swap moves a whole row."""
    state, outputs = golden_run.as_stream
    actual = select(golden_run.next_levels, outputs, state)
    expected_rows = {int(key): row for row, key in enumerate(recorded["frame1/det_ids"][:64])}
    pairs = [(row, expected_rows[key]) for row, key in enumerate(outputs.ids[0].tolist()) if key in expected_rows]
    mine, theirs = (list(side) for side in zip(*pairs, strict=True))
    assert len(pairs) >= 60
    logits = outputs.detection.logits[-1][0, mine].double().numpy()
    assert np.median(np.abs(logits - recorded["frame1/det_logits_layer6"][theirs])) <= 5e-3
    for name in ("map_logits_layer6", "map_points_layer6"):
        assert deviation(actual[name], recorded[f"frame1/{name}"]).max() <= 2e-3
    for name in ("plan_logits", "plan_offsets"):
        assert deviation(actual[name], recorded[f"frame1/{name}"]).max() <= 0.2
    expected_scores = recorded["frame1/dec_scores"]
    scores = decode_objects(outputs, 300).scores
    assert np.quantile(deviation(scores.sort(descending=True).values, expected_scores), 0.98) <= 1e-3
    histogram = np.bincount(outputs.motion.period[0].numpy(), minlength=5)
    assert np.abs(histogram - np.bincount(recorded["frame1/motion_period"], minlength=5)).max() <= 0.02 * NUM_BOXES


def test_bf16_image_network_keeps_the_plan(
    reference_network: StudentNetwork, golden_inputs: InputsFactory, recorded: Recorded
) -> None:
    """Off by 0.033 m and 0.022 in the logits here; each command's best mode stays the same."""
    engine, inputs = StudentEngine(reference_network, EngineOptions(precision="bf16")), golden_inputs(0)
    with torch.inference_mode():
        _, outputs = engine.decode_features(None, engine.extract_features(inputs.images), inputs)
    offsets, logits = outputs.motion.plan_offsets[0].numpy(), outputs.motion.plan_logits[0].numpy()
    expected = recorded["frame0/plan_logits"]
    assert np.abs(offsets.cumsum(axis=-2) - recorded["frame0/plan_offsets"].cumsum(axis=-2)).max() <= 0.1
    assert np.abs(logits - expected).max() <= 0.07
    assert np.array_equal(logits.reshape(3, -1).argmax(axis=1), expected.reshape(3, -1).argmax(axis=1))
