"""Streaming order: every lane of the batch walks through one sequence after the other, frame by frame (spec 1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch.utils.data import Sampler

from distilldrive_ros.scene.errors import ConfigurationError


@dataclass(frozen=True)
class Section:
    """Key frames `first` to `last` (exclusive) of scene number `scene`: what one augmentation is drawn for."""

    scene: int
    first: int
    last: int


@dataclass(frozen=True)
class FrameRequest:
    """A frame for one lane at one iteration.

    `section` is a number of the sections, `key_frame` one of its scene; `restart`: the first that the lane takes of the
    section. `draw` counts the sections handed out before (of all lanes): the seed of the section's augmentation.
    """

    section: int
    key_frame: int
    restart: bool
    draw: int
    iteration: int
    lane: int


def split_scenes(key_frames: Sequence[int], parts: int) -> list[Section]:
    """Cut scenes of so many key frames into `parts` sections of nearly equal length; none is empty."""
    sections = []
    for scene, count in enumerate(key_frames):
        edges = np.linspace(0, count, parts + 1).round().astype(int)
        sections += [Section(scene, int(first), int(last)) for first, last in pairwise(edges) if last > first]
    return sections


class StreamingSampler(Sampler[list[FrameRequest]]):
    """Batches without end, the same for a seed whatever the number of processes.

    Sections are shuffled anew for every pass through the data. Lane g of G takes sections g, g + G, ... of that order,
    and all their frames. A process gets the lanes of its rank. Iteration n is found again from n alone.
    """

    def __init__(
        self, sections: Sequence[Section], batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        """Lanes `rank * batch_size` onwards of `world_size * batch_size`.

        Raises:
            ConfigurationError: no section or no lane.
        """
        if not sections or batch_size < 1:
            raise ConfigurationError(
                f"training needs a batch of at least 1 and some key frames (batch {batch_size}, {len(sections)} "
                f"sequences); name other scenes"
            )
        self._sections = list(sections)
        self._seed = seed
        self._all_lanes = batch_size * world_size
        self._lanes = range(rank * batch_size, (rank + 1) * batch_size)
        self._orders: dict[int, np.ndarray] = {}
        self.start = 0

    def __iter__(self) -> Iterator[list[FrameRequest]]:
        """Batches from iteration `start` on."""
        lanes = [self._lane(lane) for lane in self._lanes]
        iteration = self.start
        while True:
            yield [next(lane) for lane in lanes]
            iteration += 1

    def _lane(self, lane: int) -> Iterator[FrameRequest]:
        iteration, position, begin = 0, lane, True
        while True:
            number = self._section_at(position)
            section = self._sections[number]
            length = section.last - section.first
            skipped = min(max(self.start - iteration, 0), length)
            for key_frame in range(section.first + skipped, section.last):
                restart = begin or key_frame == section.first
                begin = False
                yield FrameRequest(number, key_frame, restart, position, iteration + key_frame - section.first, lane)
            iteration += length
            position += self._all_lanes

    def _section_at(self, position: int) -> int:
        passes, place = divmod(position, len(self._sections))
        if passes not in self._orders:
            order = np.random.default_rng([self._seed, passes]).permutation(len(self._sections))
            self._orders = {n: o for n, o in self._orders.items() if n >= passes - 1}
            self._orders[passes] = order
        return int(self._orders[passes][place])
