"""Detection metrics against numbers of the official devkit, and by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from distilldrive_ros.evaluation.open_loop.detection import Boxes, detection_metrics, match_boxes
from distilldrive_ros.scene.objects import CLASS_NAMES

# What nuscenes-devkit 1.2.0 (`accumulate`, `calc_ap`, `calc_tp`, configuration `detection_cvpr_2019`, attributes empty,
# every box with points) gives for `made_up_frames(seed)`: mAP, NDS, mean errors, AP of class car at 0.5, 1, 2 and 4 m.
DEVKIT = {
    0: (0.36161028035946824, 0.3871172864242037,
        (0.8415108054621567, 0.26296456819167363, 0.24547483028462835, 0.5869283336168459),
        (0.020254793567510924, 0.17627157857646955, 0.6128829589978129, 0.6128829589978129)),
    1: (0.3561763862177908, 0.3849397724498636,
        (0.8275672615122277, 0.2578741512826958, 0.23029594466805614, 0.6157468491273382),
        (0.006915467937684852, 0.11458771754281116, 0.49755813366738155, 0.5241259763628918)),
}  # fmt: skip


def made_up_frames(seed: int, frames: int = 20, boxes: int = 60) -> list[dict[str, np.ndarray]]:
    """Per frame: annotated boxes, and predictions: the same ones disturbed, some missed, and some of nothing."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(frames):
        truth = np.column_stack(
            [rng.uniform(-60, 60, (boxes, 2)), rng.normal(size=boxes), rng.uniform(0.5, 6, (boxes, 3)),
             rng.uniform(-np.pi, np.pi, boxes)]
        )  # fmt: skip
        velocity = rng.normal(scale=3, size=(boxes, 2))
        velocity[rng.random(boxes) < 0.1] = np.nan
        classes = rng.integers(0, len(CLASS_NAMES), boxes)
        kept = rng.random(boxes) < 0.85
        noise = rng.normal(scale=[0.7, 0.7, 0.2, 0.3, 0.3, 0.3, 0.3], size=(boxes, 7))
        found = truth + noise
        found[:, 3:6] = np.abs(found[:, 3:6]) + 0.1
        nothing = np.column_stack(
            [rng.uniform(-60, 60, (boxes, 2)), rng.normal(size=boxes), rng.uniform(0.5, 6, (boxes, 3)),
             rng.uniform(-np.pi, np.pi, boxes)]
        )  # fmt: skip
        speed = np.where(np.isfinite(velocity), velocity, 0) + rng.normal(scale=0.5, size=(boxes, 2))
        out.append(
            {
                "truth": truth, "truth_velocity": velocity, "truth_class": classes,
                "found": np.concatenate([found[kept], nothing]),
                "found_velocity": np.concatenate([speed[kept], rng.normal(size=(boxes, 2))]),
                "found_class": np.concatenate([classes[kept], rng.integers(0, len(CLASS_NAMES), boxes)]),
                "score": np.concatenate([rng.uniform(0.2, 1, kept.sum()), rng.uniform(0, 0.7, boxes)]),
            }
        )  # fmt: skip
    return out


def pairs(seed: int) -> list[tuple[Boxes, Boxes]]:
    return [
        (
            Boxes(f["truth"], f["truth_velocity"], f["truth_class"], np.ones(len(f["truth"]))),
            Boxes(f["found"], f["found_velocity"], f["found_class"], f["score"]),
        )
        for f in made_up_frames(seed)
    ]


@pytest.mark.parametrize("seed", DEVKIT)
def test_numbers_are_those_of_the_devkit(seed: int) -> None:
    found = detection_metrics(pairs(seed))
    mean_ap, nds, errors, car = DEVKIT[seed]
    assert found.mean_ap == pytest.approx(mean_ap, abs=1e-12)
    assert found.nds == pytest.approx(nds, abs=1e-12)
    assert tuple(found.mean_errors.values()) == pytest.approx(errors, abs=1e-12)
    assert found.classes["car"].average_precision == pytest.approx(car, abs=1e-12)


def test_perfect_predictions_and_none() -> None:
    truth = [(t, Boxes(t.boxes, t.velocities, t.classes, np.full(len(t.boxes), 0.9))) for t, _ in pairs(0)]
    perfect = detection_metrics(truth)
    assert perfect.mean_ap == pytest.approx(1.0) and perfect.nds == pytest.approx(0.9)  # attributes are unknown
    nobody = Boxes(np.zeros((0, 7)), np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0))
    nothing = detection_metrics([(t, nobody) for t, _ in truth])
    assert nothing.mean_ap == 0 and nothing.nds == 0
    assert nothing.classes["car"].annotated > 0 and nothing.classes["car"].predicted == 0
    json.dumps(nothing.to_json(), allow_nan=False)


def boxes(*places: float, scores: tuple[float, ...] = ()) -> Boxes:
    at = np.array([[x, 0, 0, 4, 2, 1.5, 0] for x in places], np.float64)
    count = len(places)
    return Boxes(at, np.zeros((count, 2)), np.zeros(count, np.int64), np.array(scores or (1.0,) * count))


def test_best_score_takes_the_nearest_free_annotation() -> None:
    truth = boxes(0.0, 3.0)
    match = match_boxes(truth, boxes(0.4, 0.1, 10.0, scores=(0.9, 0.8, 0.7)), 4.0)
    assert match.tolist() == [0, 1, -1]
    # Of equal scores the later one goes first, as in the devkit; the threshold itself is a miss.
    assert match_boxes(boxes(0.0), boxes(0.1, 0.2, scores=(0.5, 0.5)), 2.0).tolist() == [-1, 0]
    assert match_boxes(boxes(0.0), boxes(2.0), 2.0).tolist() == [-1]
