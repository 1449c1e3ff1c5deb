"""Streaming order of frames: complete, in order, the same from anywhere."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.scene.errors import ConfigurationError
from distilldrive_ros.training.pipeline.sequences import FrameRequest, Section, StreamingSampler, split_scenes

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def taken(sampler: StreamingSampler, count: int) -> list[list[FrameRequest]]:
    return list(islice(iter(sampler), count))


@given(LENGTHS, st.integers(1, 3))
def test_sections_cover_every_key_frame_once(lengths: list[int], parts: int) -> None:
    sections = split_scenes(lengths, parts)
    seen = [(s.scene, k) for s in sections for k in range(s.first, s.last)]
    assert seen == [(scene, k) for scene, count in enumerate(lengths) for k in range(count)]
    assert all(s.last > s.first for s in sections)
    halves = split_scenes([40], 2)
    assert halves == [Section(0, 0, 20), Section(0, 20, 40)]


@given(LENGTHS, st.integers(1, 4), st.integers(0, 2**31))
@settings(deadline=None)
def test_lanes_walk_through_whole_sections(lengths: list[int], batch: int, seed: int) -> None:
    sections = split_scenes(lengths, 2)
    batches = taken(StreamingSampler(sections, batch, seed), 60)
    for lane in range(batch):
        before = None
        for iteration, requests in enumerate(batches):
            request = requests[lane]
            section = sections[request.section]
            assert (request.lane, request.iteration) == (lane, iteration)
            assert request.restart == (request.key_frame == section.first)
            if before is not None and not request.restart:
                assert (request.section, request.draw) == (before.section, before.draw)
                assert request.key_frame == before.key_frame + 1
            elif before is not None:
                assert before.key_frame == sections[before.section].last - 1
                assert request.draw == before.draw + batch
            before = request


def test_a_pass_takes_every_section_once_in_a_new_order() -> None:
    sections = split_scenes([4] * 6, 2)
    batches = taken(StreamingSampler(sections, 3, 7), 2 * 4 * 2)
    starts = [r.section for requests in batches for r in requests if r.restart]
    assert Counter(starts[:12]) == Counter(range(12))
    assert Counter(starts[12:]) == Counter(starts[12:24])
    assert starts[:12] != sorted(starts[:12])
    again = taken(StreamingSampler(sections, 3, 8), 16)
    assert [r.section for requests in again for r in requests if r.restart] != starts


@given(LENGTHS, st.integers(0, 50), st.integers(0, 2**31))
@settings(deadline=None)
def test_starting_later_goes_on_where_it_was_left(lengths: list[int], start: int, seed: int) -> None:
    sections = split_scenes(lengths, 2)
    whole = taken(StreamingSampler(sections, 2, seed), start + 10)
    late = StreamingSampler(sections, 2, seed)
    late.start = start
    for iteration, requests in enumerate(taken(late, 10), start):
        for new, old in zip(requests, whole[iteration], strict=True):
            # What a network remembered is gone: the first frame says so, the others are the same.
            assert new.restart or not old.restart
            assert new == (old if iteration > start else FrameRequest(**{**vars(old), "restart": True}))


@given(LENGTHS, st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**31))
@settings(deadline=None)
def test_processes_share_the_lanes_of_one(lengths: list[int], batch: int, world: int, seed: int) -> None:
    sections = split_scenes(lengths, 2)
    alone = taken(StreamingSampler(sections, batch * world, seed), 20)
    parts = [taken(StreamingSampler(sections, batch, seed, rank, world), 20) for rank in range(world)]
    assert alone == [[r for part in parts for r in part[i]] for i in range(20)]


def test_nothing_to_train_on_is_said() -> None:
    with pytest.raises(ConfigurationError, match="batch"):
        StreamingSampler([], 1, 0)
