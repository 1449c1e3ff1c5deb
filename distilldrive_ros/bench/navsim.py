"""NAVSIM's simulator and scorers on many candidates of one busy scene."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray

from distilldrive_ros.bench.measure import Measurement, Spread, timed
from distilldrive_ros.planning.pdm.drives import drive_candidates, locate
from distilldrive_ros.planning.pdm.epdms import score_epdms
from distilldrive_ros.planning.pdm.pdms import score_pdms
from distilldrive_ros.planning.pdm.proposals import reference_poses
from distilldrive_ros.planning.pdm.simulator import simulate
from distilldrive_ros.planning.pdm.world import (
    TRACK_STATES_V1,
    EgoStart,
    MapLayer,
    MapPolygon,
    NavsimWorld,
    ObjectKind,
    ObjectTracks,
    RedLight,
)

CANDIDATES, OBJECTS = 800, 60
TARGET_S = 1.0


def measure(quick: bool) -> list[Measurement]:
    """Simulate and score 800 candidates among 60 moving objects, by parts and as a whole."""
    rng = np.random.default_rng(0)
    world, candidates = busy_street(rng), fan_of_candidates(rng, CANDIDATES)
    references = reference_poses(candidates, world.ego)
    states = simulate(references, world.ego)
    drives = locate(states, world)
    parts: dict[str, Callable[[], object]] = {
        "simulation": lambda: simulate(references, world.ego),
        "map areas": lambda: locate(states, world),
        "PDMS sub-scores": lambda: score_pdms(world, drives),
        "EPDMS sub-scores": lambda: score_epdms(world, drives),
        "PDMS of 800 candidates": lambda: score_pdms(world, drive_candidates(world, candidates)),
        "EPDMS of 800 candidates": lambda: score_epdms(world, drive_candidates(world, candidates)),
        "PDMS of 6 candidates": lambda: score_pdms(world, drive_candidates(world, candidates[:6])),
    }
    runs = 1 if quick else 9
    out = []
    for name, work in parts.items():
        began = time.process_time()
        seconds = Spread.of([timed(work) for _ in range(runs)])
        processor = (time.process_time() - began) / runs
        note = f"median of {runs}; processor time {processor:.3f} s; {OBJECTS} objects"
        out.append(Measurement(name, seconds.median, "s", TARGET_S if "800" in name else None, note=note))
    return out


def busy_street(rng: np.random.Generator) -> NavsimWorld:
    """Nine winding lanes with a crossing, a red light and vehicles that drive straight on in all directions."""
    times = np.arange(TRACK_STATES_V1) * 0.1
    velocity = rng.normal(0, 4, (OBJECTS, 2))
    start = rng.uniform([-30, -30], [80, 30], (OBJECTS, 2))
    poses = np.empty((OBJECTS, len(times), 3))
    poses[..., :2] = start[:, None] + velocity[:, None] * times[:, None]
    poses[..., 2] = np.arctan2(velocity[:, 1], velocity[:, 0])[:, None]
    along = np.linspace(-50, 120, 171)
    lanes = [
        shapely.LineString(np.stack([along, 3.5 * row + np.sin(along / 30)], axis=-1)).buffer(1.75)
        for row in range(-4, 5)
    ]
    pieces = [
        MapPolygon("road", MapLayer.DRIVABLE_AREA, shapely.union_all(lanes).buffer(0.1)),
        MapPolygon("crossing", MapLayer.INTERSECTION, shapely.box(20, -20, 40, 20)),
        *(MapPolygon(f"lane {row}", MapLayer.LANE, lane) for row, lane in enumerate(lanes)),
    ]
    return NavsimWorld(
        ego=EgoStart(0.0, 0.0, 0.0, 8.0),
        polygons=tuple(pieces),
        route=frozenset({"lane 4"}),
        centerline=np.stack([along, np.sin(along / 30)], axis=-1),
        objects=ObjectTracks(
            tokens=tuple(map(str, range(OBJECTS))),
            kinds=(ObjectKind.VEHICLE,) * OBJECTS,
            sizes=np.tile([4.6, 1.9], (OBJECTS, 1)),
            poses=poses,
            velocities=np.repeat(velocity[:, None], len(times), axis=1),
            present=np.ones((OBJECTS, len(times)), bool),
        ),
        red_lights=(RedLight("light", shapely.box(12, -2, 28, 2), np.ones(len(times), bool)),),
    )


def fan_of_candidates(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Arcs (count, 8, 3) of constant speed, 0 to 14 m/s, and constant curvature."""
    along = rng.uniform(0, 14, (count, 1)) * np.arange(1, 9) * 0.5
    heading = along * rng.normal(0, 0.02, (count, 1))
    chord = along * np.sinc(heading / (2 * np.pi))
    return np.stack([chord * np.cos(heading / 2), chord * np.sin(heading / 2), heading], axis=-1)
