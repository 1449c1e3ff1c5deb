"""YAML parameter files: read, placed and refused."""

from __future__ import annotations

import re

import pytest
import yaml

from distilldrive_ros.nodes.parameters.files import load_parameter_file
from distilldrive_ros.nodes.parameters.rendering import FILES, render_markdown, render_yaml
from distilldrive_ros.nodes.parameters.table import TABLE_MODULES, table_of
from distilldrive_ros.scene.errors import ConfigurationError


def write(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def section(node, body):
    return f"{node}:\n  ros__parameters:\n    {body}\n"


@pytest.mark.parametrize("key", ["planner", "/planner", "/car/planner", "/**/planner"])
def test_a_node_is_found_in_any_namespace(tmp_path, key):
    assert load_parameter_file(write(tmp_path, section(key, "max_speed: 20.0"))) == {"planner": {"max_speed": 20.0}}


def test_values_for_all_nodes_go_to_those_that_have_them(tmp_path):
    text = section("/**", "diagnostics_period_s: 0.5\n    use_sim_time: true") + section(
        "planner", "use_sim_time: false"
    )
    values = load_parameter_file(write(tmp_path, text))
    assert values["sensor_sync"] == {"diagnostics_period_s": 0.5, "use_sim_time": True}
    assert values["planner"]["use_sim_time"] is False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (section("planner", "max_sped: 20.0"), "node planner has no parameter 'max_sped'; did you mean 'max_speed'?"),
        (section("planner", "max_speed: 900.0"), "must be in the range 0.1 to 150 m/s, got 900.0"),
        (section("planner", "max_speed: 20"), "write 20.0"),
        (section("planer", "max_speed: 20.0"), "there is no node 'planer'; did you mean 'planner'?"),
        (section("/**", "nonsense: 1"), "no node has a parameter 'nonsense'"),
        ("planner:\n  max_speed: 20.0\n", "there must be ros__parameters"),
        ("planner: [\n", "is not valid YAML in line"),
        ("- 1\n", "holds no node names"),
        (section("perception_planning", "model: studnt"), "did you mean 'student'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_path_and_the_remedy(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_parameter_file(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no\.yaml cannot be read: No such file"):
        load_parameter_file(tmp_path / "no.yaml")


@pytest.mark.parametrize("file", list(FILES))
def test_the_files_in_config_hold_every_value_and_nothing_else(repository, file):
    path = repository / "config" / file
    assert path.read_text(encoding="utf-8") == render_yaml(file), (
        "config/ is behind the tables: python -m distilldrive_ros.nodes.parameters.rendering"
    )
    values = load_parameter_file(path)
    for node in FILES[file]:
        given = {k: tuple(i for i in v if i) if isinstance(v, list) else v for k, v in values[node].items()}
        assert given == table_of(node).defaults()


def test_every_node_is_in_one_file():
    assert sorted(node for nodes in FILES.values() for node in nodes) == sorted(TABLE_MODULES)


def test_the_markdown_has_a_row_per_parameter():
    text = render_markdown(("planner",))
    assert re.findall(r"^\| `(\w+)`", text, re.M) == [p.name for p in table_of("planner").parameters]
    assert "| `max_speed` | float | `45.0` | 0.1 to 150 | faster candidates are invalid [m/s] |" in text


def test_ros_reads_the_file_as_we_do(repository, ros_context):
    """The rcl parser, which knows no nested wildcards on old distributions, finds the values by node and namespace."""
    import rclpy

    path = str(repository / "config" / "planner.param.yaml")
    ours = yaml.safe_load((repository / "config" / "planner.param.yaml").read_text(encoding="utf-8"))
    for namespace in ("", "car"):
        node = rclpy.create_node(
            "planner", context=ros_context, namespace=namespace, cli_args=["--ros-args", "--params-file", path]
        )
        found = {name: p.value for name, p in node._parameter_overrides.items()}
        node.destroy_node()
        assert found == ours["/**/planner"]["ros__parameters"]
