"""One generated scene from its seed to its files: scenario, drive by the expert, sensors, tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial

import numpy as np

from distilldrive_ros.datasets.nuscenes_writer.scene_tables import SceneIdentity
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.drive import Drive, record_drive
from distilldrive_ros.worlds.dataset.drive_checks import flaw_of
from distilldrive_ros.worlds.dataset.root import VERSION
from distilldrive_ros.worlds.dataset.scene_job import SceneJob
from distilldrive_ros.worlds.dataset.scene_writer import SceneOrder, write_scene
from distilldrive_ros.worlds.expert.driver import ExpertDriver
from distilldrive_ros.worlds.rig import nominal_rig
from distilldrive_ros.worlds.scenarios.scenario import Scenario, draw_scenario
from distilldrive_ros.worlds.traffic.session import GeneratedSession

# A drive with a collision or off the road is no example to learn from: another traffic is drawn, so many times.
ATTEMPTS = 4
LARGEST_SCENARIO_SEED = 2**31
# Clock of scene 0; every scene has its own stretch of time, so that stamps and names of logs are unique.
FIRST_EPOCH = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
EPOCH_SPACING = timedelta(seconds=1000)
VEHICLE = "world"
# Share of a scene's time that is spent on its drive; the rest goes to its sensors.
DRIVING_SHARE = 0.15


def make_scene(job: SceneJob, advance: Callable[[float], None]) -> None:
    """Make a scene in its (new) staging folder; `advance` is called with the share done since the last call.

    Raises:
        WorldError: an engine is missing or failed, or no traffic drawn led to a flawless drive.
        OSError: the folder cannot be written to.
    """
    scenario = draw_scenario(job.seed, job.kinds or None, job.duration_s)
    scenario, drive, flaws = _flawless_drive(job, scenario, advance)
    job.staging.mkdir(parents=True)
    epoch = FIRST_EPOCH + job.number * EPOCH_SPACING
    rig = nominal_rig(job.width)
    identity = SceneIdentity(
        version=VERSION,
        name=job.name,
        description=f"Generated world: {drive.description}",
        location=f"world-{job.number:04d}",
        vehicle=VEHICLE,
        log_file=f"{VEHICLE}-{epoch:%Y-%m-%d-%H-%M-%S}+0000",
        date=f"{epoch:%Y-%m-%d}",
    )
    order = SceneOrder(identity, job.salt, int(epoch.timestamp()) * 1_000_000, rig, job.rates)
    write_scene(
        job.staging,
        drive,
        order,
        np.random.default_rng((scenario.seed, 0xDA7A)),
        lambda done, total: advance((1 - DRIVING_SHARE) * done / total),
        split=job.split,
        kind=scenario.kind.value,
        scenario_seed=scenario.seed,
        turn=scenario.turn.name.lower(),
        given_up=flaws,
    )


def _flawless_drive(
    job: SceneJob, scenario: Scenario, advance: Callable[[float], None]
) -> tuple[Scenario, Drive, list[str]]:
    """The first drive without a flaw, its scenario, and what was wrong with those before."""
    flaws: list[str] = []
    for attempt in range(ATTEMPTS):
        # Far from the seeds of the scenes that come next.
        again = replace(scenario, seed=(scenario.seed + attempt * 1_000_000_007) % LARGEST_SCENARIO_SEED)
        with closing(GeneratedSession(again)) as session:
            steps = job.duration_s * 1e9 / session.period_ns
            share = DRIVING_SHARE / steps if attempt == 0 else 0.0
            drive = record_drive(session, ExpertDriver(session), job.duration_s, partial(advance, share))
        flaw = flaw_of(drive, job.duration_s)
        if not flaw:
            return again, drive, flaws
        flaws.append(flaw)
    raise WorldError(
        f"the expert found no clean way through {scenario.name} in {ATTEMPTS} drives ({'; '.join(flaws)}); "
        "choose another --seed or leave this kind out with --kinds"
    )
