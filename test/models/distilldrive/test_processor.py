"""From a SensorFrame to candidates in base_link: coordinate frames, degraded sets, bad input. On the small student."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from distilldrive_ros.geometry.poses import inverse, planar_pose
from distilldrive_ros.models.distilldrive.adapter import (
    DecodeSettings,
    base_trajectories,
    object_predictions,
    prepare_inputs,
    vector_map,
)
from distilldrive_ros.models.distilldrive.config import student_tiny
from distilldrive_ros.models.distilldrive.engine import EngineOptions
from distilldrive_ros.models.distilldrive.frames import network_frame, virtual_lidar
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.distilldrive.processor import DistillDriveModel, build_student
from distilldrive_ros.models.distilldrive.rescoring import RescoreMode
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.scene.candidates import ScoreType
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import DeviceMemoryError, ModelOutputError, SensorDataError
from distilldrive_ros.scene.sensor_frame import (
    CameraFrame,
    CameraStatus,
    Degraded,
    Discontinuity,
    EgoStatus,
    LidarFrame,
    SensorFrame,
)

Matrix = NDArray[np.float64]
FrameFactory = Callable[..., SensorFrame]

WIDTH, HEIGHT = 320, 180
HEADINGS = {
    "CAM_FRONT": 0.0,
    "CAM_FRONT_RIGHT": -55.0,
    "CAM_FRONT_LEFT": 55.0,
    "CAM_BACK": 180.0,
    "CAM_BACK_LEFT": 110.0,
    "CAM_BACK_RIGHT": -110.0,
}
PERIOD_NS = 500_000_000


def camera_pose(heading: float) -> Matrix:
    """base_from_camera of an optical frame 1.5 m up, looking along `heading` degrees."""
    pose = planar_pose(1.0, 0.0, math.radians(heading))
    pose[2, 3] = 1.5
    optical = np.eye(4)
    optical[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    return np.asarray(pose @ optical)


def jpeg(seed: int) -> NDArray[np.uint8]:
    small = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((WIDTH, HEIGHT)).save(buffer, "JPEG")
    return np.frombuffer(buffer.getvalue(), np.uint8)


@pytest.fixture(scope="module")
def make_frame() -> FrameFactory:
    """Set number t of a drive at 8 m/s along the world's x axis; sensors of one set share its stamp."""

    def make(t: int = 0, lidar: bool = True) -> SensorFrame:
        stamp = 1_700_000_000_000_000_000 + t * PERIOD_NS
        world_from_base = planar_pose(4.0 * t, 0.0, 0.0)
        intrinsics = np.array([[250.0, 0, WIDTH / 2], [0, 250.0, HEIGHT / 2], [0, 0, 1]])
        cameras = tuple(
            CameraFrame(
                name, stamp, CameraStatus.FRESH, "jpeg", WIDTH, HEIGHT, jpeg(i), intrinsics, camera_pose(heading),
                world_from_base,
            )
            for i, (name, heading) in enumerate(HEADINGS.items())
        )  # fmt: skip
        sweep = LidarFrame("LIDAR_TOP", stamp, np.zeros((0, 5), np.float32), virtual_lidar(), world_from_base)
        ego = EgoStatus(stamp, "base_link", stamp, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        return SensorFrame(
            stamp, "base_link", t, Degraded.NONE, Discontinuity.NONE, Command.STRAIGHT, "odom", world_from_base,
            cameras, sweep if lidar else None, ego,
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def model(tiny_network: StudentNetwork) -> DistillDriveModel:
    return DistillDriveModel(tiny_network)


def with_camera(frame: SensorFrame, **changes: object) -> SensorFrame:
    """The frame with another CAM_BACK."""
    cameras = tuple(replace(c, **changes) if c.name == "CAM_BACK" else c for c in frame.cameras)  # type: ignore[arg-type]
    return replace(frame, cameras=cameras)


def test_a_point_lands_on_its_pixel(make_frame: FrameFactory, executor: ThreadPoolExecutor) -> None:
    """The whole chain of matrices against the plain pinhole, with ego motion between camera and anchor stamps."""
    moved = planar_pose(-0.6, 0.1, 0.03)
    frame = with_camera(make_frame(), world_from_base=moved)
    camera = frame.camera("CAM_BACK")
    assert camera is not None
    prepared = prepare_inputs(frame, student_tiny(), executor)
    point_base = np.array([-15.0, 2.0, 0.5, 1.0])
    x, y, depth = (inverse(moved @ camera.base_from_camera) @ frame.world_from_base @ point_base)[:3]
    u, v = 250.0 * x / depth + WIDTH / 2, 250.0 * y / depth + HEIGHT / 2
    index = student_tiny().cameras.index("CAM_BACK")
    matrix = prepared.inputs.projection[0, index].double().numpy()
    projected = matrix @ inverse(prepared.base_from_network) @ point_base
    assert projected[2] == pytest.approx(depth, abs=1e-4)
    assert projected[:2] / projected[2] == pytest.approx([1.1 * u, 1.1 * v - 70], abs=1e-2)


def test_inputs_of_a_set(make_frame: FrameFactory, executor: ThreadPoolExecutor) -> None:
    frame = make_frame(3)
    inputs = prepare_inputs(frame, student_tiny(), executor).inputs
    assert inputs.images.shape == (1, 6, 3, 128, 352)
    assert inputs.image_size[0, 0].tolist() == [352, 128]
    assert float(inputs.timestamp[0]) == pytest.approx(frame.stamp_ns * 1e-9, abs=1e-6)
    assert inputs.world_from_lidar.dtype == torch.float64
    assert inputs.world_from_lidar[0, :3, 3].tolist() == pytest.approx([12.94, 0, 1.84])


def test_network_frame_of_a_vehicle() -> None:
    def lidar(base_from_lidar: Matrix) -> LidarFrame:
        return LidarFrame("L", 0, np.zeros((0, 5), np.float32), base_from_lidar, np.eye(4))

    mounted = virtual_lidar()
    mounted[:3, 3] = [1.1, 0.02, 1.7]
    assert np.array_equal(network_frame(lidar(mounted)), mounted)
    behind = virtual_lidar()
    behind[0, 3] = -0.5
    for other in (planar_pose(1, 0, 0), planar_pose(1, 0, -math.pi / 2), np.diag([1.0, -1, -1, 1]), behind):
        assert np.array_equal(network_frame(lidar(other)), virtual_lidar())
    assert np.array_equal(network_frame(None), virtual_lidar())
    assert virtual_lidar() @ [0, 1, 0, 0] == pytest.approx([1, 0, 0, 0])  # its y is forward
    assert virtual_lidar() @ [1, 0, 0, 0] == pytest.approx([0, -1, 0, 0])  # its x is right


def test_trajectory_of_the_rear_axle() -> None:
    """Straight on: the displacement itself. On an arc: the rear axle's own circle."""
    straight = np.stack([np.zeros(6), 2.0 * np.arange(1, 7)], axis=-1)
    radius, lever = 20.0, 0.94
    angle = np.linspace(0.1, 0.6, 6)
    rear = np.stack([radius * np.sin(angle), radius * (1 - np.cos(angle))], axis=-1)  # base_link, turning left
    lidar = rear + lever * np.stack([np.cos(angle), np.sin(angle)], axis=-1) - [lever, 0]
    arc = np.stack([-lidar[:, 1], lidar[:, 0]], axis=-1)
    xy, yaw = base_trajectories(np.stack([straight, arc]), virtual_lidar())
    assert xy[0] == pytest.approx(np.stack([2.0 * np.arange(1, 7), np.zeros(6)], axis=-1))
    assert yaw[0] == pytest.approx(np.zeros(6), abs=1e-9)
    assert np.abs(xy[1] - rear).max() < 0.06
    assert np.abs(yaw[1] - angle).max() < 0.06


def test_standing_still_keeps_the_heading() -> None:
    xy, yaw = base_trajectories(np.zeros((1, 6, 2)), virtual_lidar())
    assert np.allclose(xy, 0) and np.allclose(yaw, 0)
    jitter = np.random.default_rng(0).uniform(-0.03, 0.03, (50, 6, 2))
    xy, yaw = base_trajectories(jitter, virtual_lidar())
    assert np.abs(xy).max() < 0.1 and np.abs(yaw).max() < 0.2


def test_reversing_does_not_turn_the_vehicle_round() -> None:
    back = np.stack([np.zeros(6), -1.5 * np.arange(1, 7)], axis=-1)[None]
    xy, yaw = base_trajectories(back, virtual_lidar())
    assert xy[0] == pytest.approx(np.stack([-1.5 * np.arange(1, 7), np.zeros(6)], axis=-1), abs=1e-9)
    assert yaw[0] == pytest.approx(np.zeros(6), abs=1e-9)


def test_slightly_turned_lidar_is_not_a_turned_vehicle() -> None:
    """The mounting differs from a quarter turn by 2 degrees; straight ahead must stay straight ahead."""
    mounting = planar_pose(0.94, 0.0, math.radians(-88.0))
    ahead = np.stack([3.0 * np.arange(1, 7), np.zeros(6)], axis=-1)
    in_lidar = ahead @ mounting[:2, :2]
    xy, yaw = base_trajectories(in_lidar[None], mounting)
    assert xy[0] == pytest.approx(ahead) and yaw[0] == pytest.approx(np.zeros(6), abs=1e-9)


def test_candidates_of_a_drive(model: DistillDriveModel, make_frame: FrameFactory) -> None:
    session = ModelSession(model)
    first = session.run(make_frame(0))
    second = session.run(make_frame(1))
    assert first.candidates.degraded == Degraded.NO_HISTORY
    candidates = second.candidates
    assert candidates.degraded == Degraded.NONE
    assert candidates.x.shape == candidates.yaw.shape == (18, 6)
    assert candidates.command.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert candidates.mode.tolist() == list(range(18))
    assert candidates.score_type is ScoreType.RESCORED
    assert candidates.model_id == "student_tiny@untrained"
    assert (candidates.stamp_ns, candidates.frame_id) == (make_frame(1).stamp_ns, "base_link")
    right, left, straight = candidates.y[:, -1].reshape(3, 6).mean(axis=1)
    assert right < straight < left
    assert (candidates.x[:, -1] > 0).all()
    assert list(second.stage_seconds) == ["prepare", "transfer", "backbone", "heads", "decode"]


def test_a_drive_in_fixed_memory(
    model: DistillDriveModel, tiny_network: StudentNetwork, make_frame: FrameFactory
) -> None:
    """As on a GPU, where the step is a CUDA graph; the second set follows the first one, the third one a reset."""
    captured = ModelSession(DistillDriveModel(tiny_network, options=EngineOptions(captured=True)))
    plain = ModelSession(model)
    for t in range(3):
        frame = make_frame(t)
        if t == 2:
            frame = replace(frame, discontinuity=Discontinuity.TELEPORT)
        mine, theirs = captured.run(frame), plain.run(frame)
        assert set(mine.stage_seconds) == {"prepare", "network", "decode"}
        np.testing.assert_allclose(mine.candidates.x, theirs.candidates.x, atol=1e-2)
        np.testing.assert_allclose(mine.candidates.score, theirs.candidates.score, atol=1e-2)
        assert mine.candidates.degraded == theirs.candidates.degraded
        assert [o.id for o in mine.objects.objects] == [o.id for o in theirs.objects.objects]
    assert captured.state_resets == plain.state_resets == 1


def test_a_drive_without_lidar_or_with_a_lost_sweep(model: DistillDriveModel, make_frame: FrameFactory) -> None:
    """Poses of the network frame carry where it sits: losing the LiDAR for a set changes nothing here."""
    with_all, with_gap = ModelSession(model), ModelSession(model)
    for t in range(3):
        expected = with_all.run(make_frame(t))
        actual = with_gap.run(make_frame(t, lidar=t != 1))
    assert np.array_equal(actual.candidates.x, expected.candidates.x)


def test_objects_and_map_in_base_link(model: DistillDriveModel, make_frame: FrameFactory) -> None:
    """A decoded box one metre right and ten ahead of the LiDAR, and a line ahead of it."""
    prepared = model.prepare(make_frame())
    config = student_tiny()
    with torch.inference_mode():
        _, outputs = model.network(None, prepared.inputs)
    detection, motion = outputs.detection, outputs.motion
    logits, boxes = detection.logits[-1].clone(), detection.anchors[-1].clone()
    logits[0, 5] = -9.0
    logits[0, 5, 8] = 4.0
    size = torch.tensor([0.8, 0.6, 1.7]).log().tolist()
    boxes[0, 5] = torch.tensor([1.0, 10.0, -0.9, *size, 1.0, 0.0, 0.5, 2.0, 0.0])
    offsets = motion.motion_offsets.clone()
    offsets[0, 5, 0] = torch.tensor([0.0, 1.0])
    lines, line_logits = outputs.map.anchors[-1].clone(), outputs.map.logits[-1].clone()
    lines[0, 2] = torch.stack([torch.full((20,), -3.0), torch.linspace(0, 19, 20)], dim=-1).flatten()
    line_logits[0, 2] = torch.tensor([-9.0, 5.0, -9.0])
    changed = replace(
        outputs,
        detection=replace(detection, logits=(logits,), anchors=(boxes,)),
        map=replace(outputs.map, anchors=(lines,), logits=(line_logits,)),
        motion=replace(motion, motion_offsets=offsets),
    )
    (found,) = object_predictions(changed, prepared, config, 0.5, "m").objects
    assert (found.class_id, found.id) == ("pedestrian", int(outputs.ids[0, 5]))
    assert found.box == pytest.approx([10.94, -1.0, 0.94, 0.8, 0.6, 1.7, 0.0], abs=1e-5)
    assert found.velocity == pytest.approx([2.0, -0.5])
    assert found.mode_xy[0] == pytest.approx(np.stack([10.94 + np.arange(1, 13), np.full(12, -1.0)], -1), abs=1e-4)
    (line,) = vector_map(changed, prepared, config, 0.5, "m").polylines
    assert line.kind.name == "DIVIDER" and line.score == pytest.approx(0.9933, abs=1e-3)
    assert line.xy == pytest.approx(np.stack([0.94 + np.arange(20), np.full(20, 3.0)], -1), abs=1e-4)
    line_logits[0, 2] = torch.tensor([5.0, -9.0, -9.0])
    (crossing,) = vector_map(changed, prepared, config, 0.5, "m").polylines
    assert np.array_equal(crossing.xy[0], crossing.xy[-1])


def test_zero_filled_camera(model: DistillDriveModel, make_frame: FrameFactory) -> None:
    frame = with_camera(make_frame(), status=CameraStatus.ZERO_FILLED, encoding="rgb8", data=np.zeros(0, np.uint8))
    prepared = model.prepare(frame)
    assert not prepared.inputs.images[0, student_tiny().cameras.index("CAM_BACK")].any()
    _, output = model.step(None, prepared)
    assert np.isfinite(output.candidates.x).all()


def test_raw_pixels_equal_a_lossless_stream(model: DistillDriveModel, make_frame: FrameFactory) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    png = np.frombuffer(buffer.getvalue(), np.uint8)
    raw = model.prepare(with_camera(make_frame(), encoding="rgb8", data=pixels.ravel()))
    stream = model.prepare(with_camera(make_frame(), encoding="png", data=png))
    assert torch.equal(raw.inputs.images, stream.inputs.images)


NOT_RIGID = np.diag([1.0, 2.0, 1.0, 1.0])
NAN_POSE = np.full((4, 4), np.nan)


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"name": "REAR"}, "CAM_BACK is missing.*REAR"),
        ({"data": np.zeros(100, np.uint8)}, "cannot be decoded"),
        ({"encoding": "rgb8"}, "bytes of rgb8 do not make 320x180"),
        ({"width": 1600, "height": 900}, "320x180 pixels, its calibration is for 1600x900"),
        ({"intrinsics": np.zeros((3, 3))}, "not calibrated"),
        ({"intrinsics": np.full((3, 3), np.nan)}, "not calibrated"),
        ({"base_from_camera": NOT_RIGID}, "base_from_camera is not a rigid transform"),
        ({"world_from_base": NAN_POSE}, "world_from_base is not a rigid transform"),
    ],
)
def test_bad_camera_is_refused_and_the_next_good_set_works(
    model: DistillDriveModel, make_frame: FrameFactory, changes: dict[str, object], pattern: str
) -> None:
    session = ModelSession(model)
    session.run(make_frame(0))
    with pytest.raises(SensorDataError, match=pattern):
        session.run(with_camera(make_frame(1), **changes))
    assert np.isfinite(session.run(make_frame(2)).candidates.x).all()


def test_bad_poses_of_a_set(model: DistillDriveModel, make_frame: FrameFactory) -> None:
    with pytest.raises(SensorDataError, match="world_from_base"):
        model.prepare(replace(make_frame(), world_from_base=NAN_POSE))
    frame = make_frame()
    assert frame.lidar is not None
    with pytest.raises(SensorDataError, match="base_from_lidar"):
        model.prepare(replace(frame, lidar=replace(frame.lidar, base_from_lidar=NAN_POSE)))


def test_non_finite_network_is_reported(make_frame: FrameFactory) -> None:
    """A NaN must not get into the history."""
    model = build_student("student_tiny", device="cpu")
    with torch.no_grad():
        model.network.head.det_head.fc_after.weight[0, 0] = torch.nan
    session = ModelSession(model)
    with pytest.raises(ModelOutputError, match="NaN or infinity"):
        session.run(make_frame(0))
    assert session.failed_frames == 1


def test_no_memory_is_an_error_of_its_own_and_the_model_goes_on(
    tiny_network: StudentNetwork, make_frame: FrameFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No GPU to fill here, so the error that PyTorch raises then is raised in its place."""
    model = DistillDriveModel(tiny_network)
    prepared = model.prepare(make_frame())

    def full(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore words")

    with monkeypatch.context() as patch:
        patch.setattr(StudentNetwork, "decode_features", full)
        with pytest.raises(DeviceMemoryError, match=r"no memory on cpu \(CUDA out of memory.*\); close other programs"):
            model.step(None, prepared)
    _, output = model.step(None, prepared)
    assert np.isfinite(output.candidates.x).all()


def test_settings_change_what_is_reported(tiny_network: StudentNetwork, make_frame: FrameFactory) -> None:
    everything = DecodeSettings(min_object_score=0.0, min_map_score=0.0, rescore=RescoreMode.OFF)
    model = DistillDriveModel(tiny_network, settings=everything)
    _, output = model.step(None, model.prepare(make_frame()))
    assert len(output.objects.objects) == student_tiny().detection.num_output
    assert len(output.vector_map.polylines) == student_tiny().map.num_output
    assert output.candidates.score_type is ScoreType.SIGMOID
    scores = [found.score for found in output.objects.objects]
    assert scores == sorted(scores, reverse=True)


def test_weights_decide_the_name(tiny_network: StudentNetwork, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(tiny_network.state_dict(), path)
    model = build_student("student_tiny", path, "cpu")
    assert model.trained
    assert model.model_id.startswith("student_tiny@") and len(model.model_id) == len("student_tiny@") + 12
    assert model.checkpoint_report is not None and model.checkpoint_report.unexpected == ()
    assert not build_student("student_tiny", device="cpu").trained


def test_requirements(model: DistillDriveModel) -> None:
    assert model.requirements.cameras == tuple(HEADINGS)
    assert (model.requirements.lidar, model.requirements.period_s, model.requirements.max_gap_s) == (False, 0.5, 2.0)
