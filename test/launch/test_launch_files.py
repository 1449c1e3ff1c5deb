"""The launch files with ROS's own `launch`, where it is installed."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("launch_ros", reason="ROS's launch_ros is not installed (the pip runtime has none)")


def description(repository, name):
    spec = importlib.util.spec_from_file_location(f"{name}_launch", repository / "launch" / f"{name}.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def actions_of(repository, name, **arguments):
    from launch import LaunchContext

    made = description(repository, name)
    context = LaunchContext()
    for declared in made.get_launch_arguments():
        context.launch_configurations[declared.name] = "".join(s.text for s in declared.default_value)
    context.launch_configurations.update(arguments)
    return made.entities[-1].execute(context)


@pytest.mark.parametrize("name", ["planner", "replay", "simulation"])
def test_every_argument_is_declared_with_its_description_and_choices(repository, name):
    from distilldrive_ros.nodes.launching import launch_plan

    arguments = getattr(launch_plan, f"{name.upper()}_ARGUMENTS")
    declared = description(repository, name).get_launch_arguments()
    assert [d.name for d in declared] == [a.name for a in arguments]
    assert all(a.description in d.description for a, d in zip(arguments, declared, strict=True))
    assert [tuple(d.choices or ()) for d in declared] == [a.choices for a in arguments]


@pytest.mark.parametrize(("composition", "count"), [("process", 4), ("composed", 1)])
def test_the_planner_starts_its_nodes_and_sets_the_transport(repository, composition, count, monkeypatch):
    from launch.actions import SetEnvironmentVariable
    from launch_ros.actions import Node

    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)
    actions = actions_of(repository, "planner", composition=composition, model="ctra")
    assert sum(isinstance(a, Node) for a in actions) == count
    assert any(isinstance(a, SetEnvironmentVariable) for a in actions)


def test_replay_ends_the_launch(repository, tmp_path):
    from launch.actions import RegisterEventHandler
    from launch_ros.actions import Node

    actions = actions_of(repository, "replay", bag=str(tmp_path))
    assert sum(isinstance(a, Node) for a in actions) == 5
    assert any(isinstance(a, RegisterEventHandler) for a in actions)
