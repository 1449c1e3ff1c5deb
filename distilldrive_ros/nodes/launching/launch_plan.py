"""Which programs a graph consists of, with which parameters: one answer for `ros2 launch` and `distilldrive launch`.

Knows no ROS: `launch/*.launch.py` turn the answer into launch actions, `cli/launch.py` into child processes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distilldrive_ros.bags.topics import OBJECTS, ROUTE
from distilldrive_ros.environment.resources import config_file, share_directory
from distilldrive_ros.models.registry import MODELS, PRECISIONS
from distilldrive_ros.nodes.parameters.files import load_parameter_file
from distilldrive_ros.nodes.parameters.table import table_of
from distilldrive_ros.nodes.parameters.tables.sensor_sync import SensorSyncConfiguration
from distilldrive_ros.nodes.sensing.rig import Rig, load_rig
from distilldrive_ros.nodes.sensing.sync_rules import chosen_sensors, with_needs
from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.sync.config import SensorConfig

RESPAWN_DELAY_S = 2.0
# After the bag's last message: time for the graph to finish what it holds.
SETTLE_S = 1.0
# A publisher knows its subscribers somewhat before they know it: so long a bag waits once everybody is there.
MATCHING_S = 2.0

BOOLEAN = ("true", "false")


@dataclass(frozen=True)
class LaunchArgument:
    """An argument of a launch file. An empty default means: as the parameter file says."""

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


GRAPH_ARGUMENTS = (
    LaunchArgument("params_file", "", "parameter file; empty: config/planner.param.yaml of the package"),
    LaunchArgument("rig", "", "sensors: name of a file in config/rigs, or a path; empty: as the parameter file says"),
    LaunchArgument("model", "", "model; empty: as the parameter file says", ("", *MODELS)),
    LaunchArgument("weights", "", "checkpoint of the model; empty: as the parameter file says"),
    LaunchArgument("device", "", "auto, cpu, cuda or cuda:N; empty: as the parameter file says"),
    LaunchArgument("precision", "", "of the image networks; empty: as the parameter file says", ("", *PRECISIONS)),
    LaunchArgument(
        "composition", "process", "one process per node, or all composed in one", ("process", "composed")
    ),
    LaunchArgument("use_sim_time", "false", "take the time from /clock", BOOLEAN),
    LaunchArgument("rviz", "false", "start RViz with the package's configuration", BOOLEAN),
    LaunchArgument("log_level", "info", "least severe log line shown", ("debug", "info", "warn", "error", "fatal")),
    LaunchArgument("autostart", "", "configure and activate perception_planning at start; empty: as the file says",
                   ("", *BOOLEAN)),
    LaunchArgument("respawn", "false", f"start a node again {RESPAWN_DELAY_S:.0f} s after it died", BOOLEAN),
)  # fmt: skip

PLANNER_ARGUMENTS = (
    *GRAPH_ARGUMENTS,
    LaunchArgument("namespace", "", "namespace of all nodes and of their topics; empty: none"),
)

REPLAY_ARGUMENTS = (
    LaunchArgument("bag", "", "rosbag2 folder, or one .mcap or .db3 file (needed)"),
    LaunchArgument("rate", "1.0", "speed against the recording"),
    LaunchArgument("loop", "false", "begin again at the end", BOOLEAN),
    LaunchArgument("start_offset", "0.0", "s after the first message where to begin"),
    LaunchArgument("evaluate", "false", "score the plans against the ground truth of a converted bag", BOOLEAN),
    LaunchArgument("results", "evaluation", "with evaluate: FILE.json and FILE.html are left there at the end"),
    *(argument for argument in GRAPH_ARGUMENTS if argument.name != "use_sim_time"),
)

SIMULATION_ARGUMENTS = (
    LaunchArgument("scenes", "1", "worlds to drive in, one after the other"),
    LaunchArgument("seed", "0", "of the first world; the next ones follow"),
    LaunchArgument("kinds", "", "kinds of scenarios, separated by commas; empty: all, in turn"),
    LaunchArgument("dataroot", "", "nuScenes-schema root whose recorded scenes are driven; empty: generated worlds"),
    LaunchArgument("version", "v1.0-mini", "with dataroot: folder of the tables"),
    LaunchArgument("scene_names", "", "with dataroot: scenes, separated by commas; empty: the first ones"),
    LaunchArgument("lock_step", "true", "time stands still until each plan is there (deterministic)", BOOLEAN),
    LaunchArgument("output", "", "JSON file for the results of all drives; empty: none"),
    *(argument for argument in GRAPH_ARGUMENTS if argument.name != "use_sim_time"),
)


@dataclass(frozen=True)
class Program:
    """One process. `parameters` go to its node, or to all of them where it holds several (then `node` is "").

    `waits_for`: lifecycle node that must be active before it starts.
    """

    name: str
    node: str
    parameter_file: Path
    parameters: Mapping[str, Any]
    respawn: bool
    log_level: str
    namespace: str = ""
    waits_for: str | None = None

    @property
    def prefix(self) -> tuple[str, ...]:
        """Words before the command that let it wait for a lifecycle node to be active."""
        wait = (sys.executable, "-m", "distilldrive_ros.nodes.launching.wait_active", str(self.waits_for), "--")
        return wait if self.waits_for is not None else ()


@dataclass(frozen=True)
class GraphPlan:
    """Programs in the order of their start. `rviz`: configuration file, or None. `ends_with`: its end ends all."""

    programs: tuple[Program, ...]
    rviz: Path | None
    use_sim_time: bool
    ends_with: str | None = None


def resolve(arguments: tuple[LaunchArgument, ...], given: Mapping[str, str]) -> dict[str, str]:
    """All arguments with their values.

    Raises:
        ConfigurationError: an unknown argument, or a value that is none of its choices.
    """
    known = {argument.name: argument for argument in arguments}
    for name, value in given.items():
        if name not in known:
            raise ConfigurationError(f"there is no argument {name!r}; there are: {', '.join(known)}")
        if known[name].choices and value not in known[name].choices:
            choices = " | ".join(choice or '""' for choice in known[name].choices)
            raise ConfigurationError(f"{name}:={value}: must be one of {choices}")
    return {name: given.get(name, argument.default) for name, argument in known.items()}


def plan_planner(given: Mapping[str, str]) -> GraphPlan:
    """The graph that listens to a vehicle's or simulator's topics.

    Raises:
        ConfigurationError: an argument, the parameter file or the rig is wrong.
    """
    values = resolve(PLANNER_ARGUMENTS, given)
    simulated = values["use_sim_time"] == "true"
    return GraphPlan(tuple(_graph(values, simulated)), _rviz(values, "live.rviz"), simulated)


def plan_replay(given: Mapping[str, str]) -> GraphPlan:
    """The graph and a bag that is played to it; it ends with the bag.

    Raises:
        ConfigurationError: an argument, the parameter file or the rig is wrong, or there is no bag.
    """
    values = resolve(REPLAY_ARGUMENTS, given)
    bag = Path(values["bag"]).expanduser()
    if not values["bag"]:
        raise ConfigurationError("argument bag is missing; give a rosbag2 folder: bag:=FOLDER")
    if not bag.exists():
        raise ConfigurationError(f"there is no bag {bag}; make one with `distilldrive convert`")
    table = table_of("replay")
    sensors = _awaited_sensors(values)
    parameters = {
        "bag": str(bag.resolve()),
        "rate": table["rate"].from_text(values["rate"]),
        "loop": values["loop"] == "true",
        "start_offset": table["start_offset"].from_text(values["start_offset"]),
        "wait_for_subscribers": awaited_topics(sensors, _privileged(values), values["evaluate"] == "true"),
        "start_delay": MATCHING_S,
    }
    replay = Program(
        "replay",
        "replay",
        config_file("replay.param.yaml"),
        parameters,
        respawn=False,
        log_level=values["log_level"],
        waits_for="perception_planning",
    )
    # Bags hold a command per key frame, which may arrive after its sweep: a set must not go without it.
    graph = _graph(values, True, {"sensor_sync": {"wait_for_command": True}})
    if values["evaluate"] == "true":
        graph.append(_evaluator(values))
    return GraphPlan((*graph, replay), _rviz(values, "replay.rviz"), True, "replay")


def plan_simulation(given: Mapping[str, str]) -> GraphPlan:
    """The graph and a simulator in closed loop with it; it ends with the last drive.

    Raises:
        ConfigurationError: an argument, the parameter file or the rig is wrong.
    """
    values = resolve(SIMULATION_ARGUMENTS, given)
    table, lock_step = table_of("simulator"), values["lock_step"] == "true"
    names = ("scenes", "seed", "kinds", "lock_step", "version", "scene_names")
    given_values = {name: table[name].from_text(values[name]) for name in names}
    # ROS has no empty list on a command line; an empty one is the default of each.
    parameters: dict[str, Any] = {name: value for name, value in given_values.items() if value != ()}
    if values["dataroot"]:
        parameters["dataroot"] = str(Path(values["dataroot"]).expanduser().resolve())
    awaited = awaited_topics(_awaited_sensors(values), _privileged(values))
    parameters["wait_for_subscribers"] = (*awaited, "/odometry:2", "/sample_info")
    # Loading a model and drawing a place take their time on a small machine.
    parameters["wait_timeout"] = 300.0
    if values["output"]:
        parameters["output"] = str(Path(values["output"]).expanduser().resolve())
    further: dict[str, dict[str, Any]] = {"sensor_sync": {"wait_for_command": True}}
    if lock_step:
        further = _lock_step(values["composition"] == "process")
    simulator = Program(
        "simulator", "simulator", config_file("simulation.param.yaml"), parameters, respawn=False,
        log_level=values["log_level"], waits_for=None if lock_step else "perception_planning",
    )  # fmt: skip
    return GraphPlan((*_graph(values, True, further), simulator), _rviz(values, "replay.rviz"), True, "simulator")


def _lock_step(separate: bool) -> dict[str, dict[str, Any]]:
    """Parameters of a graph in which nothing is late, and nothing need be lost: every link is reliable.

    As processes of their own, nodes listen only once all are matched that listen to them.
    """
    further: dict[str, dict[str, Any]] = {
        "sensor_sync": {"wait_for_command": True, "sensor_reliability": "reliable", "wait_timeout_ms": 10000.0},
        "perception_planning": {"max_frame_age_s": 0.0},
        "planner": {"odometry_reliability": "reliable", "match_timeout_ms": 10000.0},
    }
    if separate:
        # Model and visualizer hear the sets; planner and visualizer the model; simulator and visualizer the planner.
        further["sensor_sync"]["await_subscribers"] = ("frame:2",)
        further["perception_planning"]["await_subscribers"] = ("candidates", "objects:2", "map:2")
        further["planner"]["await_subscribers"] = ("path", "paths:2")
    return further


def _evaluator(values: Mapping[str, str]) -> Program:
    results = str(Path(values["results"]).expanduser().resolve())
    if not values["results"] or Path(results).is_dir():
        raise ConfigurationError(f"results:={values['results']}: must be a file's name without its ending")
    parameters = {"use_sim_time": True, "output": f"{results}.json", "page": f"{results}.html"}
    file = config_file("replay.param.yaml")
    return Program("evaluator", "evaluator", file, parameters, respawn=False, log_level=values["log_level"])


def awaited_topics(
    sensors: Sequence[SensorConfig], privileged: bool = False, evaluated: bool = False
) -> tuple[str, ...]:
    """Topics that must have a subscriber before a bag may start, or its first set would be lost."""
    topics = ["/tf_static", "/odometry", "/command"]
    if privileged:
        topics += [ROUTE, OBJECTS]
    if evaluated:
        # Nobody else in the graph listens to it: the evaluator is there.
        topics.append("perception_planning/stats")
    for sensor in sensors:
        camera = f"/camera/{sensor.name}"
        topics += (
            [f"{camera}/camera_info", f"{camera}/image/compressed"] if sensor.kind == "camera" else ["/lidar/points"]
        )
    return (*topics, "perception_planning/candidates")


def _parameter_file(values: Mapping[str, str]) -> Path:
    return Path(values["params_file"]).expanduser() if values["params_file"] else config_file("planner.param.yaml")


def _privileged(values: Mapping[str, str]) -> bool:
    """Whether the model that perception will use needs the ground truth."""
    return MODELS[_effective(values, "perception_planning")["model"]].privileged


def _graph(
    values: Mapping[str, str], simulated: bool, further: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Program]:
    """Programs of the graph; `further`: parameters beside those of the arguments, by node."""
    file = _parameter_file(values)
    overrides = {node: {**given, **(further or {}).get(node, {})} for node, given in _overrides(values).items()}
    overrides["sensor_sync"].update(_needs(values))
    common: dict[str, Any] = {"use_sim_time": simulated} if simulated else {}
    respawn, log_level, namespace = values["respawn"] == "true", values["log_level"], values.get("namespace", "")
    if values["composition"] == "composed":
        merged = {**common, **{k: v for own in overrides.values() for k, v in own.items()}}
        return [Program("planner_graph", "", file, merged, respawn, log_level, namespace)]
    return [
        Program(node, node, file, {**common, **overrides[node]}, respawn, log_level, namespace) for node in overrides
    ]


def _awaited_sensors(values: Mapping[str, str]) -> tuple[SensorConfig, ...]:
    """Sensors that `sensor_sync` will listen to for the model."""
    parameters, rig = _sync_parameters(values)
    return tuple(chosen_sensors(replace(parameters, **_needs(values)), rig))


def _needs(values: Mapping[str, str]) -> dict[str, Any]:
    """Parameters of `sensor_sync` that the model asks for, where they differ from what holds anyway."""
    before, rig = _sync_parameters(values)
    after = with_needs(before, rig, [_effective(values, "perception_planning")["model"]])
    names = ("lidar_required", "set_cameras")
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


def _sync_parameters(values: Mapping[str, str]) -> tuple[SensorSyncConfiguration, Rig]:
    """Parameters of `sensor_sync` before the model's needs, and its rig."""
    parameters = SensorSyncConfiguration(**_effective(values, "sensor_sync"))
    return parameters, load_rig(parameters.rig)


def _effective(values: Mapping[str, str], node: str) -> dict[str, Any]:
    """Parameters of a node: argument, else parameter file, else default."""
    given = load_parameter_file(_parameter_file(values)).get(node, {})
    return {**table_of(node).defaults(), **given, **_overrides(values)[node]}


def _overrides(values: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Parameters that arguments set, by node; a parameter's name is that of its argument."""
    overrides: dict[str, dict[str, Any]] = {
        node: {} for node in ("sensor_sync", "perception_planning", "planner", "visualizer")
    }
    for node, names in (
        ("sensor_sync", ("rig",)),
        ("perception_planning", ("model", "weights", "device", "precision", "autostart")),
    ):
        for name in names:
            if values[name]:
                overrides[node][name] = table_of(node)[name].from_text(values[name])
    for name, node in (("rig", "sensor_sync"), ("weights", "perception_planning")):
        value = overrides[node].get(name)
        # Relative paths are of the person who types them, not of the process that starts elsewhere.
        if value and Path(value).expanduser().exists() and (name == "weights" or Path(value).suffix):
            overrides[node][name] = str(Path(value).expanduser().resolve())
    return overrides


def _rviz(values: Mapping[str, str], file: str) -> Path | None:
    return share_directory() / "rviz" / file if values["rviz"] == "true" else None
