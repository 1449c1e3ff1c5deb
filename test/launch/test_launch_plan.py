"""What a launch starts, with which parameters, and what it refuses before anything starts."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from distilldrive_ros.cli.launch import command_line, parse_assignments
from distilldrive_ros.nodes.launching.launch_plan import (
    PLANNER_ARGUMENTS,
    REPLAY_ARGUMENTS,
    SIMULATION_ARGUMENTS,
    plan_planner,
    plan_replay,
    plan_simulation,
)
from distilldrive_ros.scene.errors import ConfigurationError

NODES = ("sensor_sync", "perception_planning", "planner", "visualizer")


def test_one_process_per_node_with_the_parameters_of_the_file():
    plan = plan_planner({})
    assert tuple(p.name for p in plan.programs) == NODES
    assert all(p.parameters == {} and p.parameter_file.name == "planner.param.yaml" for p in plan.programs)
    assert plan.rviz is None and plan.ends_with is None


def test_arguments_become_parameters_of_their_node_only():
    plan = plan_planner(
        {"model": "ctra", "rig": "nuscenes", "device": "cpu", "autostart": "false", "use_sim_time": "true",
         "respawn": "true", "namespace": "car", "log_level": "debug"}
    )  # fmt: skip
    by_name = {p.name: p for p in plan.programs}
    assert by_name["perception_planning"].parameters == {
        "use_sim_time": True, "model": "ctra", "device": "cpu", "autostart": False,
    }  # fmt: skip
    assert by_name["sensor_sync"].parameters == {"use_sim_time": True, "rig": "nuscenes"}
    assert by_name["planner"].parameters == {"use_sim_time": True}
    assert all(p.respawn and p.namespace == "car" and p.log_level == "debug" for p in plan.programs)


def test_composed_is_one_process_with_all_parameters():
    (program,) = plan_planner({"composition": "composed", "model": "ctra", "rig": "nuscenes"}).programs
    assert (program.name, program.node) == ("planner_graph", "")
    assert program.parameters == {"rig": "nuscenes", "model": "ctra"}


@pytest.mark.parametrize("composition", ["process", "composed"])
def test_what_the_model_needs_reaches_the_synchroniser(composition, tmp_path):
    given = {"composition": composition, "model": "diffusiondrive_tiny", "precision": "bf16"}
    first = plan_planner(given).programs[0]
    assert first.parameters["lidar_required"] is True
    assert first.parameters["set_cameras"] == ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT")
    plan = plan_replay({**given, "bag": str(tmp_path)})
    assert plan.programs[0].parameters["lidar_required"] is True
    awaited = plan.programs[-1].parameters["wait_for_subscribers"]
    assert "/camera/CAM_FRONT/camera_info" in awaited and "/camera/CAM_BACK/camera_info" not in awaited
    perception = plan.programs[0 if composition == "composed" else 1]
    assert perception.parameters["precision"] == "bf16"


def test_the_model_of_the_parameter_file_counts_too(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("perception_planning:\n  ros__parameters:\n    model: diffusiondrive\n", encoding="utf-8")
    assert plan_planner({"params_file": str(path)}).programs[0].parameters["lidar_required"] is True


def test_replay_adds_the_bag_and_simulated_time(tmp_path):
    plan = plan_replay({"bag": str(tmp_path), "rate": "2", "loop": "true", "start_offset": "1.5", "rviz": "true"})
    replay = plan.programs[-1]
    assert [p.name for p in plan.programs] == [*NODES, "replay"] and plan.ends_with == "replay"
    assert replay.parameters["rate"] == 2.0 and replay.parameters["loop"] is True
    assert replay.parameters["start_offset"] == 1.5 and replay.parameters["bag"] == str(tmp_path)
    awaited = set(replay.parameters["wait_for_subscribers"])
    assert {"/tf_static", "/camera/CAM_BACK/camera_info", "/lidar/points"} <= awaited
    assert command_line(replay)[:5] == [*command_line(replay)[:3], "perception_planning", "--"]
    assert all(p.parameters["use_sim_time"] for p in plan.programs[:-1])
    assert plan.programs[0].parameters["wait_for_command"], "the command of a key frame may come after its sweep"
    assert plan.rviz.name == "replay.rviz"


def test_simulation_adds_the_simulator_and_a_graph_that_loses_nothing(tmp_path):
    given = {"model": "ctra", "scenes": "3", "seed": "7", "kinds": "straight,merge", "output": str(tmp_path / "r.json")}
    plan = plan_simulation(given)
    simulator = plan.programs[-1]
    assert [p.name for p in plan.programs] == [*NODES, "simulator"] and plan.ends_with == "simulator"
    assert simulator.parameters["scenes"] == 3 and simulator.parameters["kinds"] == ("straight", "merge")
    assert simulator.parameters["lock_step"] and simulator.parameters["output"] == str(tmp_path / "r.json")
    assert "/odometry:2" in simulator.parameters["wait_for_subscribers"]
    assert plan.programs[0].parameters["sensor_reliability"] == "reliable"
    assert all(p.parameters["use_sim_time"] for p in plan.programs[:-1])
    real_time = plan_simulation({"lock_step": "false"})
    assert "sensor_reliability" not in real_time.programs[0].parameters
    with pytest.raises(ConfigurationError, match="scenes:=0"):
        plan_simulation({"scenes": "0"})
    assert "dataroot" not in simulator.parameters
    words = command_line(plan_simulation({"model": "ctra"}).programs[-1])
    assert not [word for word in words if word.endswith(":=[]")], "rcl takes an empty list for nothing at all"
    recorded = plan_simulation({"dataroot": str(tmp_path), "scene_names": "scene-0061,scene-0103"}).programs[-1]
    assert recorded.parameters["dataroot"] == str(tmp_path.resolve())
    assert recorded.parameters["scene_names"] == ("scene-0061", "scene-0103")


def test_replay_with_an_evaluator_and_a_privileged_model(tmp_path):
    words = {"bag": str(tmp_path), "evaluate": "true", "results": str(tmp_path / "a" / "x"), "model": "pdm_closed"}
    plan = plan_replay(words)
    assert [p.name for p in plan.programs] == [*NODES, "evaluator", "replay"]
    evaluator, replay = plan.programs[-2:]
    results = {name: str(tmp_path / "a" / f"x.{name}") for name in ("json", "html")}
    assert (evaluator.parameters["output"], evaluator.parameters["page"]) == (results["json"], results["html"])
    awaited = set(replay.parameters["wait_for_subscribers"])
    assert {"/ground_truth/route", "/ground_truth/objects", "perception_planning/stats"} <= awaited
    assert command_line(evaluator)[2] == "distilldrive_ros.nodes.results.evaluator_node"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"model": "studnt"}, "model:=studnt: must be one of"),
        ({"modell": "ctra"}, "there is no argument 'modell'; there are: params_file"),
        ({"rig": "nowhere"}, "there is no rig 'nowhere'"),
        ({"params_file": "nowhere.yaml"}, "parameter file nowhere.yaml cannot be read"),
        ({"composition": "both"}, "must be one of process | composed"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_starts(given, words):
    with pytest.raises(ConfigurationError) as caught:
        plan_planner(given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "argument bag is missing"),
        ({"bag": "/nowhere/bag"}, "there is no bag /nowhere/bag; make one with `distilldrive convert`"),
        ({"bag": ".", "rate": "fast"}, "rate:=fast: rate must be a float"),
        ({"bag": ".", "evaluate": "true", "results": "."}, "results:=.: must be a file's name without its ending"),
        ({"bag": ".", "rate": "-1"}, "must be in the range 0 to 1000"),
    ],
)
def test_a_wrong_replay_is_refused(given, words):
    with pytest.raises(ConfigurationError) as caught:
        plan_replay(given)
    assert words in str(caught.value)


def test_a_wrong_parameter_file_is_refused_with_all_its_faults(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("planner:\n  ros__parameters:\n    max_sped: 1.0\n    top_k: -1\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"did you mean 'max_speed'.*'top_k'"):
        plan_planner({"params_file": str(path)})


def test_relative_paths_are_of_the_person_who_types_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("w.pth").write_bytes(b"")
    weights = {p.name: p for p in plan_planner({"weights": "w.pth"}).programs}["perception_planning"].parameters
    assert weights == {"weights": str(tmp_path / "w.pth")}


def test_the_command_line_of_a_program():
    plan = plan_planner({"model": "ctra", "use_sim_time": "true", "namespace": "/car/"})
    words = command_line(plan.programs[1])
    assert words[:4] == [sys.executable, "-m", "distilldrive_ros.nodes.planning.perception_planning_node", "--ros-args"]
    assert 'model:="ctra"' in words and "use_sim_time:=true" in words and "__ns:=/car" in words


def test_assignments_in_the_way_of_ros():
    assert parse_assignments(["model:=ctra", "weights:=a:=b"]) == {"model": "ctra", "weights": "a:=b"}
    with pytest.raises(ConfigurationError, match="'model=ctra' is not of the form key:=value"):
        parse_assignments(["model=ctra"])


@pytest.mark.parametrize("arguments", [PLANNER_ARGUMENTS, REPLAY_ARGUMENTS, SIMULATION_ARGUMENTS])
def test_every_argument_is_described_and_its_default_is_a_choice(arguments):
    for argument in arguments:
        assert len(argument.description) > 10, argument.name
        assert not argument.choices or argument.default in argument.choices, argument.name
    wanted = {
        "params_file",
        "rig",
        "model",
        "weights",
        "device",
        "composition",
        "rviz",
        "log_level",
        "autostart",
        "respawn",
    }
    assert wanted <= {argument.name for argument in arguments}


@pytest.mark.parametrize("name", ["planner", "replay", "simulation"])
def test_the_launch_files_are_python_and_use_the_plan(repository, name):
    tree = ast.parse((repository / "launch" / f"{name}.launch.py").read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions == ["generate_launch_description"]
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert f"plan_{name}" in names
