"""Light and air of a scene, drawn from its seed."""

from __future__ import annotations

import numpy as np

from distilldrive_ros.worlds.scenarios.scenario import Scenario
from distilldrive_ros.worlds.world import Appearance

# Share of scenes at night, and of those with low sun.
NIGHT, LOW_SUN = 0.12, 0.25


def draw_appearance(scenario: Scenario) -> Appearance:
    """Time of day, clouds and haze."""
    rng = np.random.default_rng((scenario.seed, 0xA11))
    hour = float(rng.random())
    if hour < NIGHT:
        elevation = float(rng.uniform(-18.0, -6.0))
    elif hour < NIGHT + LOW_SUN:
        elevation = float(rng.uniform(4.0, 20.0))
    else:
        elevation = float(rng.uniform(20.0, 65.0))
    return Appearance(
        sun_azimuth_deg=float(rng.uniform(0.0, 360.0)),
        sun_elevation_deg=elevation,
        haze_m=float(np.exp(rng.uniform(np.log(120.0), np.log(1200.0)))),
        overcast=float(rng.beta(1.2, 1.6)),
        seed=scenario.seed,
    )
