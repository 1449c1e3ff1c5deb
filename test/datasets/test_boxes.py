"""Boxes of a scene as arrays and their futures, against slow and plain computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distilldrive_ros.datasets.boxes import scene_boxes
from distilldrive_ros.datasets.categories import DETECTION_CLASS
from distilldrive_ros.datasets.futures import MAX_TIME_DIFF_S, track_futures
from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.scene.objects import CLASS_NAMES


def plain_future(stamps_ns, positions, index, steps, step_s):
    """Interpolation of one annotation's future, step by step; infinite where a step nearly meets an annotation.

    There the tolerance for rounded stamps decides, which `test_last_annotation_serves_...` looks at.
    """
    out = np.full((steps, positions.shape[1]), np.nan)
    for step in range(steps):
        want = stamps_ns[index] + round((step + 1) * step_s * 1e9)
        if np.abs(stamps_ns - want).min() < 2e6:
            out[step] = np.inf
            continue
        for a, b in zip(range(len(stamps_ns)), range(1, len(stamps_ns)), strict=False):
            if stamps_ns[a] <= want <= stamps_ns[b] and stamps_ns[b] - stamps_ns[a] <= MAX_TIME_DIFF_S * 1e9:
                share = (want - stamps_ns[a]) / (stamps_ns[b] - stamps_ns[a])
                out[step] = (1 - share) * positions[a] + share * positions[b]
                break
    return out


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_futures_equal_plain_interpolation(data):
    tracks, stamps, positions, expected = [], [], [], []
    for number in range(data.draw(st.integers(1, 4))):
        gaps = data.draw(st.lists(st.integers(380, 1900), min_size=0, max_size=18))
        t = (1_600_000_000_000 + np.cumsum([data.draw(st.integers(0, 5000)), *gaps])) * 1_000_000
        p = np.random.default_rng(number).normal(0, 50, (len(t), 2))
        tracks += [7 * number] * len(t)
        stamps += t.tolist()
        positions += p.tolist()
        expected += [plain_future(t, p, i, 12, 0.5) for i in range(len(t))]
    order = data.draw(st.permutations(range(len(tracks))))
    future = track_futures(np.array(tracks)[order], np.array(stamps)[order], np.array(positions)[order])
    assert future.shape == (len(tracks), 12, 2)
    plain = np.array(expected)[order]
    clear = ~np.isinf(plain)
    assert np.allclose(future[clear], plain[clear], atol=1e-3, equal_nan=True)


def test_last_annotation_serves_a_step_that_rounding_put_behind_it():
    stamps = np.array([0, 500_000_000, 999_999_500])
    future = track_futures(np.zeros(3, np.int64), stamps, np.array([[0.0], [1.0], [2.0]]), steps=2)
    assert future[0, :, 0] == pytest.approx([1.0, 2.0], abs=1e-5)
    assert np.isnan(future[2]).all()


def test_no_boxes():
    assert track_futures(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3))).shape == (0, 12, 3)


def test_arrays_say_what_the_records_say(tiny, tiny_root):
    nuscenes = NuScenes(tiny_root.path, tiny.VERSION)
    samples = nuscenes.samples(nuscenes.scene("scene-0001"))
    boxes = scene_boxes(nuscenes, samples)
    assert boxes.left_out == {"animal": 15}
    for index, sample in enumerate(samples):
        rows = boxes.of_sample(index)
        records = {a.instance_index: a for a in nuscenes.annotations(sample) if a.class_name}
        assert set(boxes.ids[rows].tolist()) == set(records)
        assert (np.diff(boxes.classes[rows]) >= 0).all()
        for i in range(rows.start, rows.stop):
            record = records[int(boxes.ids[i])]
            assert CLASS_NAMES[boxes.classes[i]] == record.class_name
            assert boxes.centers[i] == pytest.approx(record.translation)
            assert boxes.sizes[i] == pytest.approx(record.size)
            assert boxes.rotations[i] == pytest.approx(record.rotation)
            assert boxes.velocities[i] == pytest.approx(record.velocity, nan_ok=True)
    car = boxes.of_sample(0).start
    now = boxes.centers[car]
    for step in range(6):
        moved = now[:2] + 0.5 * (step + 1) * np.array(tiny.CAR_VELOCITY)
        assert boxes.futures[car, step, :2] == pytest.approx(moved, abs=1e-5)


def test_scene_without_boxes(tiny, tiny_root):
    nuscenes = NuScenes(tiny_root.path, tiny.VERSION)
    boxes = scene_boxes(nuscenes, nuscenes.samples(nuscenes.scene("scene-0002")))
    assert len(boxes.ids) == 0 and boxes.of_sample(0) == slice(0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("translation", [1, 2]), ("size", None), ("rotation", [0, 0, 0, 0]), ("translation", [1, 2, float("inf")])],
)
def test_wrong_value_names_the_row(tiny, tiny_root, field, value):
    tiny_root.row("sample_annotation", "a-vehicle.car-4")[field] = value
    nuscenes = NuScenes(tiny_root.write().path, tiny.VERSION)
    with pytest.raises(DatasetError, match=r"a-vehicle\.car-4.*" + field):
        scene_boxes(nuscenes, nuscenes.samples(nuscenes.scene("scene-0001")))


@pytest.mark.parametrize("field", ["next", "prev", "instance_token"])
def test_dangling_token(tiny, tiny_root, field):
    tiny_root.row("sample_annotation", "a-vehicle.car-4")[field] = "nowhere"
    nuscenes = NuScenes(tiny_root.write().path, tiny.VERSION)
    with pytest.raises(DatasetError, match="nowhere"):
        scene_boxes(nuscenes, nuscenes.samples(nuscenes.scene("scene-0001")))


def test_every_class_of_the_task_has_a_category():
    assert set(DETECTION_CLASS.values()) == set(CLASS_NAMES)
