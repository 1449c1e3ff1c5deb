"""What models need of a set reaches the synchroniser: LiDAR, cameras; and what a rig must have for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from distilldrive_ros.cli.replay_settings import frame_settings
from distilldrive_ros.models.registry import MODELS, ModelRequest, load_model
from distilldrive_ros.nodes.parameters.tables.sensor_sync import SensorSyncConfiguration
from distilldrive_ros.nodes.sensing.rig import load_rig
from distilldrive_ros.nodes.sensing.sync_rules import chosen_sensors, sync_config, with_needs
from distilldrive_ros.scene.errors import ConfigurationError

FRONT = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT")


@pytest.fixture
def rig():
    return load_rig("nuscenes")


def test_a_model_that_looks_ahead_gets_front_cameras_and_lidar(rig):
    parameters = with_needs(SensorSyncConfiguration(), rig, ["diffusiondrive_tiny"])
    assert parameters.lidar_required and parameters.set_cameras == FRONT
    config = sync_config(parameters, rig)
    assert tuple(sensor.name for sensor in config.cameras) == FRONT
    assert config.lidar_required and config.lidar.name == "LIDAR_TOP" and config.own_body == rig.own_body


def test_a_model_that_looks_around_gets_all_and_no_lidar_is_required(rig):
    parameters = with_needs(SensorSyncConfiguration(), rig, ["student_tiny"])
    assert not parameters.lidar_required
    assert chosen_sensors(parameters, rig) == rig.sensors


@pytest.mark.parametrize("models", [[], ["ctra"], ["ctra", "diffusiondrive"]])
def test_a_rule_leaves_the_rig_as_it_is(rig, models):
    parameters = with_needs(SensorSyncConfiguration(), rig, models)
    assert parameters.set_cameras == () and chosen_sensors(parameters, rig) == rig.sensors
    assert parameters.lidar_required == ("diffusiondrive" in models)


def test_several_models_get_what_any_of_them_looks_through(rig):
    config = frame_settings("nuscenes", False, ["student", "diffusiondrive"]).rules
    assert config.sensors == rig.sensors and config.lidar_required


def test_cameras_that_the_user_named_stay(rig):
    named = replace(SensorSyncConfiguration(), set_cameras=("CAM_FRONT", "CAM_BACK"))
    assert with_needs(named, rig, ["diffusiondrive"]).set_cameras == ("CAM_FRONT", "CAM_BACK")


def test_a_rig_without_what_the_model_needs_is_refused(rig):
    blind = replace(rig, sensors=tuple(s for s in rig.sensors if s.kind == "lidar"))
    with pytest.raises(ConfigurationError, match=r"student_tiny needs the cameras CAM_FRONT.*rig nuscenes has none"):
        with_needs(SensorSyncConfiguration(), blind, ["student_tiny"])
    flat = replace(rig, sensors=tuple(s for s in rig.sensors if s.kind == "camera"), anchor="CAM_FRONT")
    with pytest.raises(ConfigurationError, match="diffusiondrive needs a LiDAR, rig nuscenes has none"):
        with_needs(SensorSyncConfiguration(), flat, ["diffusiondrive"])


def test_an_unknown_camera_is_refused(rig):
    with pytest.raises(ConfigurationError, match="set_cameras names CAM_TOP; rig nuscenes has CAM_BACK"):
        chosen_sensors(replace(SensorSyncConfiguration(), set_cameras=("CAM_TOP",)), rig)


@pytest.mark.parametrize("model", ["student_tiny", "diffusiondrive_tiny", "ctra"])
def test_the_registry_knows_what_the_model_itself_requires(model):
    needs, requirements = MODELS[model].needs, load_model(model, ModelRequest(device="cpu")).requirements
    assert needs.lidar == requirements.lidar
    assert requirements.cameras in needs.rigs or requirements.cameras == () == needs.rigs
