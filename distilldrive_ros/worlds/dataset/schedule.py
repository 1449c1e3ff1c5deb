"""When which sensor fires: key frames twice a second and sweeps between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.rig import Rig

KEY_FRAMES_PER_S = 2
KEY_FRAME_PERIOD_NS = 1_000_000_000 // KEY_FRAMES_PER_S
# Key frames of real logs are not exactly half a second apart.
JITTER_NS = 1_500_000
NS_PER_US = 1000


@dataclass(frozen=True)
class SensorRates:
    """Turns per second, multiples of the key frames' rate; as in nuScenes by default. At that rate: no sweeps."""

    camera_hz: int = 12
    lidar_hz: int = 20

    def __post_init__(self) -> None:
        """Refuse what key frames cannot be part of.

        Raises:
            WorldError: a rate is no multiple of 2 Hz from 2 to 40.
        """
        for name, rate in (("camera", self.camera_hz), ("LiDAR", self.lidar_hz)):
            if rate % KEY_FRAMES_PER_S or not KEY_FRAMES_PER_S <= rate <= 40:
                raise WorldError(f"{name} rate {rate} Hz: it must be an even number from 2 to 40")


KEY_FRAMES_ONLY = SensorRates(KEY_FRAMES_PER_S, KEY_FRAMES_PER_S)


@dataclass(frozen=True)
class Turn:
    """Measurements that belong together, by channel: times in ns after the world's epoch.

    All cameras once, or the LiDAR; those that are no `key_frame` lead up to the key frame number `sample`.
    """

    times_ns: dict[str, int]
    sample: int
    key_frame: bool


@dataclass(frozen=True)
class Schedule:
    """`samples_ns`: times of the key frames, which are the LiDAR's; both kinds of turns in time order."""

    samples_ns: tuple[int, ...]
    camera_turns: tuple[Turn, ...]
    lidar_turns: tuple[Turn, ...]

    @property
    def measurements(self) -> int:
        """Pictures and sweeps."""
        return sum(len(turn.times_ns) for turn in (*self.camera_turns, *self.lidar_turns))


def sensor_schedule(rig: Rig, rates: SensorRates, first_ns: int, last_ns: int, rng: np.random.Generator) -> Schedule:
    """Everything that the rig's sensors take within a drive; all times are whole microseconds.

    Raises:
        WorldError: the drive is too short for a single key frame.
    """
    leads = {camera.channel: camera.lead_ns for camera in rig.cameras}
    start_ns = first_ns + max(leads.values(), default=0) + JITTER_NS
    count = (last_ns - JITTER_NS - start_ns) // KEY_FRAME_PERIOD_NS + 1
    if count < 1:
        raise WorldError(f"a drive of {(last_ns - first_ns) / 1e9:.2f} s is too short for a key frame; make it longer")
    jitter = rng.integers(-JITTER_NS, JITTER_NS + 1, count)
    samples = [start_ns + i * KEY_FRAME_PERIOD_NS + int(jitter[i]) for i in range(count)]
    return Schedule(
        tuple(_microseconds(s) for s in samples),
        tuple(_turns(leads, samples, rates.camera_hz)),
        tuple(_turns({rig.lidar.channel: 0}, samples, rates.lidar_hz)),
    )


def _turns(leads: dict[str, int], samples: list[int], rate: int) -> Iterator[Turn]:
    """Key frames, and sweeps at equal steps between them."""
    steps = rate // KEY_FRAMES_PER_S
    for sample, end in enumerate(samples):
        gap = end - samples[max(sample - 1, 0)]
        for k in range(1 if sample else steps, steps + 1):
            time = end - gap * (steps - k) // steps
            yield Turn({c: _microseconds(time - lead) for c, lead in leads.items()}, sample, k == steps)


def _microseconds(time_ns: int) -> int:
    return time_ns // NS_PER_US * NS_PER_US
