"""Ways on foot over exactly one crossing."""

from __future__ import annotations

import math

from distilldrive_ros.worlds.scenarios.roads import RoadNetwork


def sidewalk_trips(network: RoadNetwork) -> list[tuple[str, str]]:
    """Pairs of edges, from sidewalk to sidewalk, that lie on two sides of one crossing.

    Who has two crossings to choose from changes his mind at the red light, and SUMO 1.28 then moves him to the other
    crossing in one step; so there is no way over two.
    """
    at = {node.name: node.at for node in network.nodes}
    out: list[tuple[str, str]] = []
    for crossing in network.crossings:
        here = crossing.node
        arms = {edge.source for edge in network.edges if edge.target == here}
        x, y = at[here]
        clockwise = sorted(arms, key=lambda arm: -math.atan2(at[arm][1] - y, at[arm][0] - x))
        arm = next(name for name in arms if f"{name}{here}" in crossing.edges)
        place = clockwise.index(arm)
        after, before = clockwise[(place + 1) % len(clockwise)], clockwise[place - 1]
        # Looking out along the arm: to the left the sidewalk of who comes in, and that of the arm before it.
        left = [f"{arm}{here}", f"{here}{before}"]
        right = [f"{here}{arm}", f"{after}{here}"]
        for start in left:
            for goal in right:
                out += [(start, goal), (goal, start)]
    paved = {edge.name for edge in network.edges if edge.sidewalk}
    return [(start, goal) for start, goal in out if start in paved and goal in paved]
