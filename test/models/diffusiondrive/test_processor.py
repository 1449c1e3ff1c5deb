"""From a SensorFrame to candidates and objects in base_link: both rigs, degraded sets, bad input. Small network."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.bench.synthetic import sensor_frames
from distilldrive_ros.models.diffusiondrive.adapter import (
    NAVSIM_CAMERAS,
    NUSCENES_CAMERAS,
    object_predictions,
    plan_candidates,
    status_tensor,
)
from distilldrive_ros.models.diffusiondrive.bird_view import class_picture
from distilldrive_ros.models.diffusiondrive.checkpoint import load_checkpoint
from distilldrive_ros.models.diffusiondrive.config import Variant, diffusiondrive_tiny
from distilldrive_ros.models.diffusiondrive.initialization import untrained_network
from distilldrive_ros.models.diffusiondrive.network import DiffusionDriveNetwork
from distilldrive_ros.models.diffusiondrive.noise import CandidateMode
from distilldrive_ros.models.diffusiondrive.processor import (
    DiffusionDriveModel,
    PlannerSettings,
    build_diffusiondrive,
)
from distilldrive_ros.models.diffusiondrive.scene_encoder import AgentOutputs
from distilldrive_ros.models.diffusiondrive.trajectory_head import PlanOutputs
from distilldrive_ros.models.interface import ModelOutput
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.scene.candidates import ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError, ModelOutputError, SensorDataError
from distilldrive_ros.scene.sensor_frame import CameraFrame, CameraStatus, SensorFrame


@pytest.fixture(scope="module")
def frames() -> list[SensorFrame]:
    source = sensor_frames(np.random.default_rng(0))
    return [next(source) for _ in range(3)]


@pytest.fixture(scope="module")
def model(tiny_network: DiffusionDriveNetwork) -> DiffusionDriveModel:
    return DiffusionDriveModel(tiny_network)


def run(model: DiffusionDriveModel, frame: SensorFrame) -> ModelOutput:
    return model.step(model.initial_state(), model.prepare(frame))[1]


def with_camera(frame: SensorFrame, name: str, **changes: object) -> SensorFrame:
    cameras = tuple(replace(c, **changes) if c.name == name else c for c in frame.cameras)  # type: ignore[arg-type]
    return replace(frame, cameras=cameras)


def navsim(frame: SensorFrame, width: int = 1920, height: int = 1080) -> SensorFrame:
    """The same set from the rig that the networks were trained with."""
    rng = np.random.default_rng(4)
    cameras = []
    for name, camera in zip(NAVSIM_CAMERAS, frame.cameras, strict=False):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (height // 30, width // 30, 3), np.uint8)).resize((width, height)).save(
            stream, "JPEG"
        )
        data = np.frombuffer(stream.getvalue(), np.uint8)
        cameras.append(replace(camera, name=name, width=width, height=height, data=data))
    return replace(frame, cameras=tuple(cameras))


def test_outputs_of_a_set(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    output = run(model, frames[0])
    candidates = output.candidates
    assert candidates.x.shape == (16, 8) and candidates.time_step == 0.5
    assert candidates.score_type is ScoreType.SIGMOID and (candidates.command == Command.STRAIGHT).all()
    assert (np.diff(candidates.score) <= 0).all() and ((candidates.score > 0) & (candidates.score < 1)).all()
    assert len(set(candidates.mode.tolist())) == 16 and candidates.mode.max() < 160
    assert output.vector_map.polylines == ()
    assert output.bird_view is not None and output.bird_view.shape == (64, 128, 3)
    assert {"transfer", "backbone", "heads", "decode"} == set(output.stage_seconds)


@pytest.mark.parametrize("variant", [Variant.SELECTOR, Variant.POLICY])
def test_a_drive_in_fixed_memory(frames: list[SensorFrame], variant: Variant) -> None:
    """As on a GPU, where the step is a CUDA graph; noise of its own for every set."""
    network = untrained_network(replace(diffusiondrive_tiny(), variant=variant), torch.Generator().manual_seed(0))
    settings = PlannerSettings(candidates=CandidateMode.RANDOM)
    captured, plain = (
        ModelSession(DiffusionDriveModel(network, settings=settings, captured=captured)) for captured in (True, False)
    )
    for frame in frames:
        mine, theirs = captured.run(frame), plain.run(frame)
        assert set(mine.stage_seconds) == {"prepare", "network", "decode"}
        np.testing.assert_allclose(mine.candidates.x, theirs.candidates.x, atol=1e-3)
        np.testing.assert_allclose(mine.candidates.score, theirs.candidates.score, atol=1e-4)
        assert list(mine.details) == list(theirs.details) and np.array_equal(mine.bird_view, theirs.bird_view)


def test_details_name_score_and_sub_scores(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    output = run(model, frames[0])
    assert len(output.details) == 16
    first, best = next(iter(output.details.items()))
    assert first == "candidate 01" and best.startswith(f"mode {output.candidates.mode[0]}: ")
    parts = {p.split()[0]: float(p.split()[1]) for p in best[best.index("(") + 1 : -1].split(", ")}
    expected = parts["NC"] * parts["DAC"] * (5 * parts["TTC"] + 5 * parts["EP"] + 2 * parts["C"]) / 12
    assert float(output.candidates.score[0]) == pytest.approx(expected, abs=3e-3)


def test_consecutive_equal_sets_give_equal_plans(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    session = ModelSession(model)
    first = session.run(frames[0])
    again = session.run(replace(frames[0], stamp_ns=frames[0].stamp_ns + 500_000_000))
    assert np.array_equal(first.candidates.x, again.candidates.x)


def test_random_candidates_differ_from_set_to_set_and_repeat_from_drive_to_drive(
    tiny_network: DiffusionDriveNetwork, frames: list[SensorFrame]
) -> None:
    model = DiffusionDriveModel(tiny_network, settings=PlannerSettings(candidates=CandidateMode.RANDOM))
    prepared = model.prepare(frames[0])
    state, first = model.step(model.initial_state(), prepared)
    _, second = model.step(state, prepared)
    _, again = model.step(model.initial_state(), prepared)
    assert not np.array_equal(first.candidates.x, second.candidates.x)
    assert np.array_equal(first.candidates.x, again.candidates.x)


def test_training_rig_is_taken_as_it_is(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    output = run(model, navsim(frames[0]))
    assert np.isfinite(output.candidates.x).all()


@pytest.mark.parametrize("size", [(1600, 900), (1080, 1920), (960, 540)])
def test_training_rig_of_wrong_size(
    model: DiffusionDriveModel, frames: list[SensorFrame], size: tuple[int, int]
) -> None:
    with pytest.raises(SensorDataError, match=rf"CAM_L0: the image is {size[0]}x{size[1]} pixels.*1920x1080"):
        model.prepare(navsim(frames[0], *size))


def test_image_that_is_not_of_its_calibration(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    with pytest.raises(SensorDataError, match=r"CAM_FRONT: the image is 1600x900.*calibration is for 800x450"):
        model.prepare(with_camera(frames[0], "CAM_FRONT", width=800, height=450))


@pytest.mark.parametrize("name", NUSCENES_CAMERAS)
def test_camera_missing_or_damaged(model: DiffusionDriveModel, frames: list[SensorFrame], name: str) -> None:
    fewer = replace(frames[0], cameras=tuple(c for c in frames[0].cameras if c.name != name))
    with pytest.raises(SensorDataError, match=f"{name} is missing"):
        model.prepare(fewer)
    with pytest.raises(SensorDataError, match="cannot be decoded"):
        model.prepare(with_camera(frames[0], name, data=np.zeros(100, np.uint8)))
    with pytest.raises(SensorDataError, match="not calibrated"):
        model.prepare(with_camera(frames[0], name, intrinsics=np.zeros((3, 3))))


def test_zero_filled_camera_is_black(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    dark = with_camera(frames[0], "CAM_FRONT_LEFT", status=CameraStatus.ZERO_FILLED, data=np.zeros(0, np.uint8))
    picture = model.prepare(dark).camera[0]
    assert float(picture[:, 64, :90].max()) == 0.0 and float(picture[:, 64, 150:].min()) > 0.0


def test_raw_image_equals_its_stream(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    camera = frames[0].camera("CAM_FRONT")
    assert camera is not None
    pixels = np.asarray(Image.open(io.BytesIO(camera.data.tobytes())).convert("RGB"))
    raw = with_camera(frames[0], "CAM_FRONT", encoding="rgb8", data=pixels.ravel())
    assert torch.equal(model.prepare(raw).camera, model.prepare(frames[0]).camera)
    with pytest.raises(SensorDataError, match="bytes of rgb8"):
        model.prepare(with_camera(raw, "CAM_FRONT", data=pixels.ravel()[:-3]))


def test_new_calibration_takes_effect(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    before = model.prepare(frames[0]).camera
    camera = frames[0].camera("CAM_FRONT")
    assert camera is not None
    zoomed = with_camera(frames[0], "CAM_FRONT", intrinsics=camera.intrinsics * np.array([[1.3], [1.3], [1.0]]))
    assert not torch.equal(model.prepare(zoomed).camera, before)
    assert torch.equal(model.prepare(frames[0]).camera, before)


def test_lidar_is_required(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    assert model.requirements.lidar
    with pytest.raises(SensorDataError, match=r"LiDAR sweep is missing.*lidar_required"):
        model.prepare(replace(frames[0], lidar=None))
    lidar = frames[0].lidar
    assert lidar is not None
    for points in (np.zeros((0, 5), np.float32), np.full((9, 5), np.nan, np.float32)):
        with pytest.raises(SensorDataError, match="none of them finite"):
            model.prepare(replace(frames[0], lidar=replace(lidar, points=points)))
    with pytest.raises(SensorDataError, match="base_from_lidar is not a rigid transform"):
        model.prepare(replace(frames[0], lidar=replace(lidar, base_from_lidar=np.full((4, 4), np.nan))))


@pytest.mark.parametrize(
    ("command", "place"), [(Command.LEFT, 0), (Command.STRAIGHT, 1), (Command.RIGHT, 2), (Command.UNKNOWN, 3)]
)
def test_every_command_has_its_place(frames: list[SensorFrame], command: Command, place: int) -> None:
    status = status_tensor(replace(frames[0], command=command), 0.5)
    assert status[0, :4].tolist() == [float(i == place) for i in range(4)]
    assert status[0, 4:].tolist() == [8.0, 0.0, 0.5, 0.0]


def test_unknown_command_still_gives_a_plan(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    output = run(model, replace(frames[0], command=Command.UNKNOWN))
    assert output.candidates.active_command is Command.UNKNOWN and (output.candidates.command == 255).all()


def test_unknown_parts_of_the_odometry(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    nan = math.nan
    ego = replace(frames[0].ego, lateral_speed=nan, lateral_acceleration=nan, yaw_rate=0.5)
    assert status_tensor(replace(frames[0], ego=ego), 0.0)[0, 4:].tolist() == [8.0, 0.0, 0.0, 4.0]
    blind = replace(ego, yaw_rate=nan)
    assert status_tensor(replace(frames[0], ego=blind), 0.0)[0, 7] == 0.0
    with pytest.raises(SensorDataError, match="odometry speed"):
        model.prepare(replace(frames[0], ego=replace(ego, speed=nan)))


def test_acceleration_comes_from_the_set_before(model: DiffusionDriveModel, frames: list[SensorFrame]) -> None:
    unknown = [replace(f, ego=replace(f.ego, acceleration=math.nan)) for f in frames[:2]]
    faster = replace(unknown[1], ego=replace(unknown[1].ego, speed=10.0))
    state, _ = model.step(model.initial_state(), model.prepare(unknown[0]))
    told = replace(faster, ego=replace(faster.ego, acceleration=4.0))
    derived, given = (model.step(state, model.prepare(f))[1].objects for f in (faster, told))
    assert [o.box.tolist() for o in derived.objects] == [o.box.tolist() for o in given.objects]
    _, first = model.step(state, model.prepare(faster))
    _, second = model.step(state, model.prepare(told))
    np.testing.assert_array_equal(first.candidates.score, second.candidates.score)


@pytest.mark.parametrize("speed", [0.0, -2.0])
def test_standing_and_reversing_vehicle(model: DiffusionDriveModel, frames: list[SensorFrame], speed: float) -> None:
    output = run(model, replace(frames[0], ego=replace(frames[0].ego, speed=speed)))
    assert np.isfinite(output.candidates.x).all() and np.isfinite(output.candidates.yaw).all()


def test_candidates_that_stand_have_no_noise_in_their_heading(frames: list[SensorFrame]) -> None:
    config = replace(diffusiondrive_tiny(), variant=Variant.POLICY)
    poses = torch.zeros(1, 40, 8, 3)
    poses[..., :2] = 0.01 * torch.randn(1, 40, 8, 2)
    poses[..., 2] = torch.randn(1, 40, 8)
    plan = PlanOutputs(poses, torch.rand(1, 40), None, None)  # type: ignore[arg-type]
    candidates = plan_candidates(plan, frames[0], config, "x@untrained")
    assert candidates.num_candidates == 32 and (candidates.yaw == 0).all()


def test_objects_are_likely_boxes_of_sense(frames: list[SensorFrame]) -> None:
    states = torch.tensor([[[5.0, -2.0, 0.3, 4.5, 1.9], [9.0, 1.0, 0.0, 4.0, -1.0], [1.0, 1.0, 0.0, 4.0, 2.0],
                            [7.0, 3.0, -1.0, 4.2, 1.8]]])  # fmt: skip
    found = object_predictions(AgentOutputs(states, torch.tensor([[1.0, 5.0, -3.0, 2.0]])), frames[0], 0.5, "m").objects
    assert [o.id for o in found] == [3, 0]
    np.testing.assert_allclose(found[1].box, [5, -2, 0.8, 4.5, 1.9, 1.6, 0.3], atol=1e-6)
    assert np.isnan(found[0].velocity).all() and found[0].num_modes == 0


def test_bird_view_has_ahead_at_the_top_and_left_on_the_left() -> None:
    classes = np.zeros((64, 128), np.int64)
    classes[63, 127] = 5  # far ahead, left
    picture: NDArray[np.uint8] = class_picture(classes)
    assert (picture[0, 0] != picture[5, 5]).any() and (picture[63, 127] == picture[5, 5]).all()


def test_result_that_is_not_finite(frames: list[SensorFrame]) -> None:
    network = untrained_network(diffusiondrive_tiny(), torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.trajectory_head.plan_anchor[0, 0, 0] = float("nan")
    with pytest.raises(ModelOutputError, match="NaN or infinity"):
        run(DiffusionDriveModel(network), frames[0])


@pytest.mark.parametrize("variant", [Variant.V1, Variant.POLICY])
def test_variants_without_a_selector(frames: list[SensorFrame], variant: Variant) -> None:
    config = replace(diffusiondrive_tiny(), variant=variant)
    output = run(DiffusionDriveModel(untrained_network(config, torch.Generator().manual_seed(0))), frames[0])
    assert output.candidates.num_candidates == 32 and output.details == {}


def test_names_of_models_and_weights(tmp_path: Path, tiny_network: DiffusionDriveNetwork) -> None:
    path = tmp_path / "tiny.ckpt"
    torch.save(tiny_network.state_dict(), path)
    model = build_diffusiondrive("diffusiondrive_tiny", path, "cpu")
    assert model.trained and len(model.model_id) == len("diffusiondrive_tiny@") + 12
    plain = load_model("diffusiondrive_tiny", ModelRequest(device="cpu"))
    assert not plain.trained and plain.model_id == "diffusiondrive_tiny@untrained"


def test_partial_weights_only_on_request(tmp_path: Path) -> None:
    config = replace(diffusiondrive_tiny(), variant=Variant.POLICY)
    path = tmp_path / "rl.ckpt"
    torch.save(untrained_network(config, torch.Generator().manual_seed(0)).state_dict(), path)
    # The small model, of which there are no official files, goes without a selector where its file has none.
    policy = load_model("diffusiondrive_tiny", ModelRequest(path, "cpu"))
    assert policy.trained
    assert isinstance(policy, DiffusionDriveModel)
    assert policy.config.variant is Variant.POLICY
    with pytest.raises(CheckpointError, match="leaves untrained"):
        load_checkpoint(untrained_network(diffusiondrive_tiny(), torch.Generator().manual_seed(0)), path)
    model = load_model("diffusiondrive_tiny", ModelRequest(path, "cpu", partial_weights=True))
    assert not model.trained and model.model_id.endswith("@untrained")
    with pytest.raises(ConfigurationError, match="partial"):
        load_model("student_tiny", ModelRequest(partial_weights=True))


def test_modes_are_chosen_by_name(frames: list[SensorFrame]) -> None:
    """Each combination gives other candidates; a wrong name is refused."""
    plans = {}
    for sampling in ("compatible", "proper"):
        for candidates in ("deterministic", "random"):
            request = ModelRequest(device="cpu", sampling=sampling, candidates=candidates)
            model = load_model("diffusiondrive_tiny", request)
            _, output = model.step(model.initial_state(), model.prepare(frames[0]))
            plans[sampling, candidates] = output.candidates.x.tobytes()
    assert len(set(plans.values())) == 4
    for wrong in ({"sampling": "exact"}, {"candidates": "some"}):
        with pytest.raises(ConfigurationError, match=r"is unknown; use (compatible|random) or"):
            load_model("diffusiondrive_tiny", ModelRequest(device="cpu", **wrong))  # type: ignore[arg-type]


def test_camera_frames_are_found_by_name(frames: list[SensorFrame]) -> None:
    assert all(isinstance(frames[0].camera(name), CameraFrame) for name in NUSCENES_CAMERAS)
