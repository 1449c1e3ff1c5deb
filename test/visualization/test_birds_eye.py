"""The drawing from above: well-formed, self-contained, to scale, honest about what it shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.objects import ObjectPredictions
from distilldrive_ros.scene.vector_map import VectorMap
from distilldrive_ros.visualization.birds_eye import Extent, birds_eye_svg

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: str) -> str:
    """All text of a drawing."""
    return " | ".join(e.text or "" for e in ET.fromstring(svg).iter(f"{SVG}text"))


def path_with_tooltip(svg: str, start: str) -> np.ndarray:
    """Pixels (n, 2) of the path whose tooltip begins like that."""
    for path in ET.fromstring(svg).iter(f"{SVG}path"):
        title = path.find(f"{SVG}title")
        if title is not None and (title.text or "").startswith(start):
            return np.array([float(v) for v in re.findall(r"-?\d+\.?\d*", path.get("d", ""))]).reshape(-1, 2)
    raise AssertionError(f"no path {start}")


def test_everything_at_once_is_well_formed_and_self_contained(
    plan: PlanCandidates, objects: ObjectPredictions, vector_map: VectorMap
) -> None:
    cloud = np.random.default_rng(0).uniform([-30, -30, 0, 0], [50, 30, 3, 1], (20_000, 4))
    truth_path = np.stack([np.arange(1, 13) * 2.5, np.zeros(12)], axis=1)
    svg = birds_eye_svg(plan, objects, vector_map, truth_path, cloud, objects)
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert "href" not in svg and "<script" not in svg and "<style" not in svg and "<image" not in svg
    assert svg.count("http") == 1, "the name space only"
    assert len(svg) < 120_000, "a report holds dozens of them"
    for heading in (
        "forward",
        "10 m",
        "selected",
        "invalid",
        "driven (ground truth)",
        "car",
        "pedestrian",
        "boundary",
        "LiDAR",
    ):
        assert heading in words(svg)


def test_forward_is_up_left_is_left_and_scale_is_right(plan: PlanCandidates) -> None:
    svg = birds_eye_svg(plan, size_px=700, extent_m=Extent(ahead=50, behind=20, side=25))
    straight, left = path_with_tooltip(svg, "mode 3"), path_with_tooltip(svg, "mode 0")
    np.testing.assert_allclose(straight[1:] - straight[0], [[0, -25 * k] for k in range(1, 7)], atol=0.11)
    np.testing.assert_allclose(left[1:] - left[0], [[-10 * k, -25 * k] for k in range(1, 7)], atol=0.11)


def test_selected_is_thickest_and_invalid_is_grey_and_dashed(plan: PlanCandidates) -> None:
    strokes = {}
    for path in ET.fromstring(birds_eye_svg(plan)).iter(f"{SVG}path"):
        title = path.find(f"{SVG}title")
        if title is not None and title.text:
            strokes[title.text] = (
                float(path.get("stroke-width", "0")),
                path.get("stroke"),
                path.get("stroke-dasharray"),
            )
    selected = strokes["mode 3, straight, score 0.500"]
    invalid = strokes["mode 5, straight, score 0.020, invalid: collision"]
    assert selected[0] == max(width for width, _, _ in strokes.values())
    assert invalid[1] == "#969696" and invalid[2]
    assert len({color for _, color, _ in strokes.values()}) == 5


def test_legend_names_only_what_is_shown(plan: PlanCandidates, objects: ObjectPredictions) -> None:
    assert "invalid" not in words(birds_eye_svg(replace(plan, candidates=plan.candidates[:3]))).split(" | ")[2:]
    shown = words(birds_eye_svg(plan, replace(objects, objects=objects.objects[:1])))
    far = replace(objects.objects[1], box=objects.objects[1].box + np.array([200.0, 0, 0, 0, 0, 0, 0]))
    assert "pedestrian" not in words(birds_eye_svg(plan, replace(objects, objects=(objects.objects[0], far))))
    assert "car" in shown and "pedestrian" not in shown and "ground truth" not in shown and "LiDAR" not in shown


def test_title_tells_the_choice_and_untrained_weights(plan: PlanCandidates) -> None:
    told = words(birds_eye_svg(replace(plan, model_id="student@untrained")))
    assert "Command straight · mode 3, score 0.500" in told
    assert "weights untrained" in told and "5 candidates, 1 invalid" in told
    assert "untrained" not in words(birds_eye_svg(plan))
    assert "no valid candidate" in words(birds_eye_svg(replace(plan, selected=-1)))
    assert "no plan" in words(birds_eye_svg(None))


def test_drawings_share_a_page_without_sharing_ids(plan: PlanCandidates) -> None:
    drawings = [birds_eye_svg(plan, identifier="a"), birds_eye_svg(plan, identifier="b")]
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in drawings]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for svg, own in zip(drawings, ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= set(own)
    later = birds_eye_svg(replace(plan, stamp_ns=plan.stamp_ns + 1))
    assert not set(re.findall(r' id="([^"]+)"', later)) & set(re.findall(r' id="([^"]+)"', birds_eye_svg(plan)))


def test_hostile_names_are_escaped(plan: PlanCandidates, objects: ObjectPredictions) -> None:
    evil = "<script>\"&'</script>"
    bad = replace(objects, objects=(replace(objects.objects[0], class_id=evil),))
    svg = birds_eye_svg(replace(plan, model_id=evil), bad)
    assert "<script" not in svg
    assert evil in words(svg)


def test_numbers_that_are_not_finite_never_reach_the_drawing(
    plan: PlanCandidates, objects: ObjectPredictions, vector_map: VectorMap
) -> None:
    positions = plan.candidates[1].positions.copy()
    positions[2] = np.inf
    broken = replace(plan.candidates[1], positions=positions, score=float("nan"))
    item = replace(objects.objects[0], box=np.full(7, np.nan))
    half = replace(
        objects.objects[1], mode_scores=np.array([np.nan], np.float32), mode_xy=np.full((1, 6, 2), np.nan, np.float32)
    )
    line = replace(vector_map.polylines[0], xy=np.full((4, 2), np.nan, np.float32))
    svg = birds_eye_svg(
        replace(plan, candidates=(plan.candidates[0], broken)),
        replace(objects, objects=(item, half)),
        replace(vector_map, polylines=(line,)),
        np.array([[1.0, 0.0], [np.nan, np.nan]]),
        np.full((10, 4), np.nan),
    )
    geometry = [
        v for e in ET.fromstring(svg).iter() for k, v in e.attrib.items() if k in ("d", "x", "y", "cx", "cy", "r")
    ]
    assert geometry and not any("nan" in v or "inf" in v for v in geometry)


def test_an_impossible_view_is_refused(plan: PlanCandidates) -> None:
    with pytest.raises(ValueError, match="size"):
        birds_eye_svg(plan, size_px=0)
    with pytest.raises(ValueError, match="empty view"):
        Extent(ahead=-20, behind=20)
