"""The parameter tables: what they accept, what they say where they refuse, and what nodes do with them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from distilldrive_ros.nodes.parameters.table import TABLE_MODULES, ParameterTable, parameter, table_of
from distilldrive_ros.scene.errors import ConfigurationError


@dataclass(frozen=True)
class Example:
    rate: float = parameter(1.0, "how often", unit="Hz", low=0.1, high=100.0)
    count: int = parameter(3, "how many", low=0)
    mode: str = parameter("fast", "how", choices=("fast", "slow"))
    flag: bool = parameter(True, "whether", read_only=True)
    names: tuple[str, ...] = parameter(("a",), "which")


TABLE = ParameterTable("planner", Example)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("rate", 200.0, "parameter 'rate' of node planner must be in the range 0.1 to 100 Hz, got 200.0"),
        ("rate", 5, "must be a float, got 5 (integer); write 5.0"),
        ("rate", float("nan"), "must be a finite number"),
        ("rate", "fast", "must be a float, got 'fast' (string)"),
        ("count", -1, "must be in the range 0 to inf, got -1"),
        ("count", True, "must be a int, got True (bool)"),
        ("mode", "fats", "must be one of fast | slow, got 'fats'; did you mean 'fast'?"),
        ("names", None, 'write [""] for an empty list'),
        ("names", ("a", 1), "got 1 in it"),
        ("ratte", 1.0, "node planner has no parameter 'ratte'; did you mean 'rate'?"),
        ("zzz", 1.0, "it has: rate, count, mode, flag, names"),
    ],
)
def test_a_wrong_value_is_refused_with_name_range_and_remedy(name, value, words):
    assert words in (TABLE.refusal(name, value) or "")
    with pytest.raises(ConfigurationError, match="parameter"):
        TABLE.build({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate", 0.1), ("rate", 100.0), ("count", 0), ("mode", "slow"), ("names", ()), ("use_sim_time", True)],
)
def test_a_right_value_is_taken(name, value):
    assert TABLE.refusal(name, value) is None
    built = TABLE.build({name: value})
    assert getattr(built, name, value) == value


def test_every_fault_is_named_at_once():
    with pytest.raises(ConfigurationError, match=r"rate.*; .*mode"):
        TABLE.build({"rate": 0.0, "mode": "x"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "5", 5.0),
        ("count", "7", 7),
        ("flag", "False", False),
        ("mode", "slow", "slow"),
        ("names", "[b, c]", ("b", "c")),
    ],
)
def test_values_from_a_command_line(name, text, value):
    assert TABLE[name].from_text(text) == value


def test_a_wrong_value_from_a_command_line_is_refused():
    with pytest.raises(ConfigurationError, match="rate:=often: rate must be a float"):
        TABLE["rate"].from_text("often")


@pytest.mark.parametrize("node", list(TABLE_MODULES))
def test_every_default_is_allowed_and_described(node):
    for p in table_of(node).parameters:
        assert p.refusal(p.default) is None, p.name
        assert len(p.description) > 10 and not p.description.endswith("."), p.name


def test_an_unknown_node_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigurationError, match="did you mean 'planner'"):
        table_of("planer")


class TestOnANode:
    """Descriptors, refusals and changes on a real node."""

    @pytest.fixture
    def make(self, ros_context):
        import rclpy
        from rclpy.parameter import Parameter

        from distilldrive_ros.nodes.parameters.server import ParameterServer

        nodes = []

        def build(on_change=None, **overrides):
            given = [Parameter(name, value=value) for name, value in overrides.items()]
            node = rclpy.create_node("planner", context=ros_context, parameter_overrides=given)
            nodes.append(node)
            return node, ParameterServer(node, TABLE, on_change)

        yield build
        for node in nodes:
            node.destroy_node()

    def test_descriptors_carry_description_unit_range_and_choices(self, make):
        node, _ = make()
        rate = node.describe_parameter("rate")
        assert rate.description == "how often [Hz]"
        assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (0.1, 100.0)
        assert node.describe_parameter("mode").additional_constraints == "fast | slow"
        assert node.describe_parameter("flag").read_only

    @pytest.mark.parametrize(
        ("overrides", "words"),
        [
            ({"ratte": 1.0}, "no parameter 'ratte'; did you mean 'rate'"),
            ({"rate": 500.0}, "must be in the range 0.1 to 100 Hz, got 500.0"),
            ({"rate": 1}, "write 1.0"),
            ({"mode": "slwo"}, "did you mean 'slow'"),
        ],
    )
    def test_wrong_overrides_stop_the_node(self, make, overrides, words):
        with pytest.raises(ConfigurationError, match=r"planner\.param\.yaml") as caught:
            make(**overrides)
        assert words in str(caught.value)

    def test_a_name_of_another_node_is_passed_over(self, make):
        # It comes from a section /** that is meant for several nodes.
        _, server = make(rig="nuscenes", rate=2.0)
        assert server.current.rate == 2.0

    def test_a_change_is_applied_or_refused_with_the_reason(self, make):
        from rclpy.parameter import Parameter

        seen = []
        node, server = make(on_change=seen.append)
        result = node.set_parameters([Parameter("mode", value="fats")])[0]
        assert not result.successful and "did you mean 'fast'" in result.reason
        assert server.current.mode == "fast" and seen == []
        assert node.set_parameters([Parameter("mode", value="slow")])[0].successful
        assert server.current.mode == "slow" and seen == [server.current]
        assert not node.set_parameters([Parameter("flag", value=False)])[0].successful

    def test_empty_and_given_lists(self, make):
        assert make(names=[""])[1].current.names == ()
        assert make(names=["x", "y"])[1].current.names == ("x", "y")
