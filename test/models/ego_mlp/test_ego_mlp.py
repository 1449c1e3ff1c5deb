"""The ego-status network: features of a drive, training that repeats, weights that are checked, plans of six points."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from distilldrive_ros.models.ego_mlp.checkpoint import fold_file, fold_path, load_ego_mlp, serialised
from distilldrive_ros.models.ego_mlp.features import FEATURE_COUNT, advanced, features
from distilldrive_ros.models.ego_mlp.fitting import FitSettings, fit
from distilldrive_ros.models.ego_mlp.network import EgoMlp, predicted
from distilldrive_ros.models.registry import ModelRequest, load_fold, load_model
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import CheckpointError, ConfigurationError, SensorDataError
from distilldrive_ros.scene.sensor_frame import Degraded, Discontinuity, EgoStatus, SensorFrame


def frame(index: int, speed: float, yaw_rate: float = 0.0, command: Command = Command.STRAIGHT) -> SensorFrame:
    stamp = 10_000_000_000 + index * 500_000_000
    ego = EgoStatus(stamp, "base_link", stamp, speed, 0.0, yaw_rate, math.nan, math.nan, math.nan)
    return SensorFrame(
        stamp, "base_link", 0, Degraded.NONE, Discontinuity.NONE, command, "odom", np.eye(4), (), None, ego
    )


def samples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Drives at constant acceleration: what an acceleration is worth can be learned."""
    rng = np.random.default_rng(seed)
    given = np.zeros((count, FEATURE_COUNT), np.float32)
    given[:, 0], given[:, 1] = rng.uniform(2, 12, count), rng.uniform(-0.5, 1, count)
    times = np.arange(1, 7) * 0.5
    along = given[:, :1] * times + 0.5 * given[:, 1:2] * times**2
    return given, np.stack([along, np.zeros_like(along)], axis=-1).astype(np.float32)


def test_features_are_newest_first_and_a_short_past_repeats_its_oldest() -> None:
    history = advanced(None, frame(0, 4.0, 0.1))
    np.testing.assert_allclose(features(history, Command.LEFT), [*[4.0, 0.0, 0.1] * 4, 0, 1, 0], rtol=1e-6)
    for index, speed in enumerate((5.0, 6.5, 6.5, 6.0), start=1):
        history = advanced(history, frame(index, speed))
    np.testing.assert_allclose(
        features(history, Command.UNKNOWN), [6.0, -1, 0, 6.5, 0, 0, 6.5, 3, 0, 5.0, 2, 0, 0, 0, 0], rtol=1e-6
    )


def test_training_repeats_learns_and_stops_where_scenes_left_out_are_best() -> None:
    scenes = [samples(40, seed) for seed in range(3)]
    first, again = (fit(scenes, FitSettings(seed=3, epochs=60)) for _ in range(2))
    assert first.epochs == again.epochs
    for one, other in zip(first.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    given, ways = samples(50, 9)
    straight = np.linalg.norm(predicted(EgoMlp().reset(0), given) - ways, axis=-1).mean()
    learned = np.linalg.norm(predicted(first.network, given) - ways, axis=-1).mean()
    assert learned < 0.5 * straight
    other_seed = fit(scenes, FitSettings(seed=4, epochs=60)).network
    assert not torch.equal(other_seed.head.weight, first.network.head.weight)


def test_one_scene_alone_is_trained_on_to_the_end() -> None:
    assert fit([samples(20, 0)], FitSettings(epochs=5)).epochs == 5


@pytest.mark.parametrize("scenes", [[], [samples(0, 0)], [(np.full((1, 15), np.nan, np.float32), samples(1, 0)[1])]])
def test_nothing_to_train_on_is_said(scenes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    with pytest.raises(ConfigurationError, match="no sample to train on"):
        fit(scenes, FitSettings())


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"seed": -1}])
def test_settings_have_their_range(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="is out of range"):
        FitSettings(**wrong)


def test_a_plan_in_the_session(tmp_path: Path) -> None:
    network = fit([samples(40, 0)], FitSettings(epochs=3)).network
    path = fold_path(tmp_path, "scene-1")
    path.write_bytes(serialised(network, ["scene-2"]))
    model = load_fold(tmp_path, "scene-1")
    assert model.trained and model.model_id.startswith("ego_mlp@") and model.requirements.period_s == 0.5
    session = ModelSession(model)
    assert session.wants(frame(0, 5.0))
    candidates = session.run(frame(0, 5.0)).candidates
    history = advanced(None, frame(0, 5.0))
    wanted = predicted(network, features(history, Command.STRAIGHT)[None])[0]
    np.testing.assert_array_equal(np.stack([candidates.x[0], candidates.y[0]], axis=-1), wanted)
    assert candidates.num_steps == 6 and candidates.time_step == 0.5
    with pytest.raises(SensorDataError, match="NaN or infinity"):
        session.run(frame(1, math.inf))
    with pytest.raises(CheckpointError, match="no weights that were trained without scene-9"):
        fold_file(tmp_path, "scene-9")


def test_untrained_says_so_and_goes_straight_on() -> None:
    model = load_model("ego_mlp", ModelRequest(seed=1))
    assert not model.trained and model.model_id == "ego_mlp@untrained"
    candidates = ModelSession(model).run(frame(0, 6.0, command=Command.RIGHT)).candidates
    np.testing.assert_allclose(candidates.x[0], 3.0 * np.arange(1, 7), rtol=1e-6)
    assert not candidates.yaw.any()


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    save_file({"head.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is not of ego_mlp"):
        load_ego_mlp(tmp_path / "other.safetensors")
    state = EgoMlp().reset(0).state_dict()
    save_file({**state, "head.bias": torch.zeros(5)}, tmp_path / "shape.safetensors")
    with pytest.raises(CheckpointError, match="of another configuration"):
        load_ego_mlp(tmp_path / "shape.safetensors")
    with pytest.raises(ConfigurationError, match="is a folder of cross-validation"):
        load_model("ego_mlp", ModelRequest(tmp_path))
