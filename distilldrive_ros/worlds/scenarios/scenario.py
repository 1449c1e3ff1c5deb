"""What a generated scene is about: kind of place, and the numbers that vary it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from distilldrive_ros.scene.command import Command
from distilldrive_ros.scene.errors import WorldError


class ScenarioKind(Enum):
    """Kinds of scenes."""

    STRAIGHT = "straight"
    CURVED = "curved"
    FOUR_WAY_LIGHTS = "four_way_lights"
    FOUR_WAY_PRIORITY = "four_way_priority"
    T_JUNCTION = "t_junction"
    ROUNDABOUT = "roundabout"
    MERGE = "merge"
    PARKED_CARS = "parked_cars"
    CROSSING = "crossing"
    CUT_IN = "cut_in"
    HARD_BRAKING = "hard_braking"
    CONSTRUCTION = "construction"
    EMPTY = "empty"


TURNING = {
    ScenarioKind.FOUR_WAY_LIGHTS,
    ScenarioKind.FOUR_WAY_PRIORITY,
    ScenarioKind.T_JUNCTION,
    ScenarioKind.ROUNDABOUT,
}
# Fewest and most lanes per direction, where a kind does not take them all.
LANES = {
    ScenarioKind.T_JUNCTION: (1, 2),
    ScenarioKind.ROUNDABOUT: (1, 1),
    ScenarioKind.MERGE: (2, 3),
    ScenarioKind.PARKED_CARS: (1, 1),
    ScenarioKind.CROSSING: (1, 2),
    ScenarioKind.CUT_IN: (2, 3),
    ScenarioKind.CONSTRUCTION: (2, 3),
}
ALL_LANES = (1, 3)
# Slowest and fastest speed limit that a kind's roads are laid out for, m/s.
SPEEDS = {
    ScenarioKind.STRAIGHT: (8.0, 22.0),
    ScenarioKind.CURVED: (8.0, 16.0),
    ScenarioKind.ROUNDABOUT: (8.0, 12.0),
    ScenarioKind.MERGE: (14.0, 25.0),
    ScenarioKind.PARKED_CARS: (6.0, 9.0),
    ScenarioKind.EMPTY: (8.0, 22.0),
}
ALL_SPEEDS = (8.0, 14.0)
# Where the ego has to find a gap, drawn scenes are no denser: in dense traffic it would wait for all of their time.
DENSEST = {
    ScenarioKind.FOUR_WAY_LIGHTS: 0.6,
    ScenarioKind.FOUR_WAY_PRIORITY: 0.45,
    ScenarioKind.T_JUNCTION: 0.5,
    ScenarioKind.ROUNDABOUT: 0.5,
}
DURATION_S = 20.0
DURATIONS_S = (1.0, 600.0)


@dataclass(frozen=True)
class Scenario:
    """A scene to be generated; equal scenarios give equal scenes.

    `lanes` per direction; `speed_limit` m/s; `density`: 0 no traffic, 1 as much as flows; `pedestrians`: the same for
    people on foot; `turn`: what the ego does at the junction.
    """

    kind: ScenarioKind
    seed: int
    lanes: int = 2
    speed_limit: float = 11.0
    density: float = 0.5
    pedestrians: float = 0.5
    turn: Command = Command.STRAIGHT
    duration_s: float = DURATION_S

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            WorldError: a number is out of its range, or the kind has no such turn.
        """
        fewest, most = LANES.get(self.kind, ALL_LANES)
        slowest, fastest = SPEEDS.get(self.kind, ALL_SPEEDS)
        self._within("lanes", self.lanes, fewest, most)
        self._within("speed_limit", self.speed_limit, slowest, fastest)
        self._within("density", self.density, 0.0, 1.0)
        self._within("pedestrians", self.pedestrians, 0.0, 1.0)
        self._within("duration_s", self.duration_s, *DURATIONS_S)
        self._within("seed", self.seed, 0, 2**31 - 1)
        if self.turn == Command.UNKNOWN or (self.turn != Command.STRAIGHT and self.kind not in TURNING):
            kinds = ", ".join(sorted(kind.value for kind in TURNING))
            raise WorldError(
                f"scenario {self.kind.value} has no turn {self.turn.name.lower()}; use straight, or one of the kinds "
                f"with junctions: {kinds}"
            )

    @property
    def name(self) -> str:
        """Short unique name."""
        return f"{self.kind.value}-{self.seed}"

    def _within(self, name: str, value: float, low: float, high: float) -> None:
        if not (math.isfinite(value) and low <= value <= high):
            raise WorldError(f"scenario {self.kind.value}: {name} is {value}; it must lie between {low} and {high}")


# What comes up, in turn, for each command. Junctions with lights and with priority are the usual places to turn.
_TURNS_AT = (
    ScenarioKind.FOUR_WAY_LIGHTS, ScenarioKind.FOUR_WAY_PRIORITY, ScenarioKind.T_JUNCTION,
    ScenarioKind.FOUR_WAY_LIGHTS, ScenarioKind.FOUR_WAY_PRIORITY, ScenarioKind.ROUNDABOUT,
)  # fmt: skip
_STRAIGHT_ON = (
    ScenarioKind.STRAIGHT, ScenarioKind.CURVED, ScenarioKind.PARKED_CARS, ScenarioKind.FOUR_WAY_LIGHTS,
    ScenarioKind.CROSSING, ScenarioKind.CUT_IN, ScenarioKind.HARD_BRAKING, ScenarioKind.CONSTRUCTION,
    ScenarioKind.FOUR_WAY_PRIORITY, ScenarioKind.MERGE, ScenarioKind.EMPTY, ScenarioKind.T_JUNCTION,
    ScenarioKind.ROUNDABOUT,
)  # fmt: skip
_COMMANDS = (Command.LEFT, Command.STRAIGHT, Command.RIGHT)


def _kind_and_turn(seed: int, kinds: Sequence[ScenarioKind] | None) -> tuple[ScenarioKind, Command]:
    """Every three seeds in a row hold one route to the left, one straight on and one to the right.

    Kinds without a junction only go straight: a choice of kinds with none has no turns, and a choice of one kind with
    a junction goes through all three commands there.
    """
    turning = tuple(kind for kind in kinds if kind in TURNING) if kinds is not None else _TURNS_AT
    straight = tuple(kinds) if kinds is not None else _STRAIGHT_ON
    if not turning:
        return straight[seed % len(straight)], Command.STRAIGHT
    turn = _COMMANDS[seed % 3]
    # Half a round further, so that a place seen with a left turn is followed by another one with a right turn.
    number = seed // 3 + (len(turning) // 2 if turn == Command.RIGHT else 0)
    deck = straight if turn == Command.STRAIGHT else turning
    return deck[number % len(deck)], turn


def draw_scenario(seed: int, kinds: Sequence[ScenarioKind] | None = None, duration_s: float = DURATION_S) -> Scenario:
    """The scenario of a seed: consecutive seeds go through all kinds, with turns in balance.

    Args:
        seed: decides everything.
        kinds: only these, in turn; default all of them.
        duration_s: length of the scene.

    Raises:
        WorldError: a number is out of its range, or `kinds` is empty.
    """
    if kinds is not None and not kinds:
        raise WorldError("no kind of scenario to choose from; name at least one")
    if not 0 <= seed < 2**31:
        raise WorldError(f"the seed is {seed}; it must lie between 0 and {2**31 - 1}")
    rng = np.random.default_rng((seed, 0x5CE7A210))
    kind, turn = _kind_and_turn(seed, kinds)
    fewest, most = LANES.get(kind, ALL_LANES)
    slowest, fastest = SPEEDS.get(kind, ALL_SPEEDS)
    quiet = kind == ScenarioKind.EMPTY
    return Scenario(
        kind=kind,
        seed=seed,
        lanes=int(rng.integers(fewest, most + 1)),
        speed_limit=round(float(rng.uniform(slowest, fastest)), 2),
        density=0.0 if quiet else round(float(rng.uniform(0.2, DENSEST.get(kind, 0.9))), 3),
        pedestrians=0.0 if quiet else round(float(rng.uniform(0.2, 1.0)), 3),
        turn=turn,
        duration_s=duration_s,
    )
