"""The report as a file: complete, self-contained, well-formed, honest about untrained weights."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distilldrive_ros.evaluation.report.markup import VOID, Markup, join, tag
from distilldrive_ros.evaluation.report.page import ReportContext
from distilldrive_ros.evaluation.report.writer import write_report
from distilldrive_ros.scene.errors import DistillDriveError

from .conftest import Bags

CONTEXT = ReportContext(title="test drive", model="test: a model", source="made up", facts={"Python": "3"})


class _Checker(HTMLParser):
    """Collects tags and complains about unbalanced ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, key, value or "") for key, value in attrs]
        self.ids += [value or "" for key, value in attrs if key == "id"]
        if name not in VOID:
            self.stack.append(name)

    def handle_startendtag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, key, value or "") for key, value in attrs]

    def handle_endtag(self, name: str) -> None:
        assert self.stack and self.stack[-1] == name, f"</{name}> closes {self.stack[-3:]}"
        self.stack.pop()


def _write(bags: Bags, out: Path, context: ReportContext = CONTEXT) -> tuple[str, _Checker]:
    write_report(bags.source, bags.plans, out, context)
    html = (out / "report.html").read_text(encoding="utf-8")
    checker = _Checker()
    checker.feed(html)
    assert checker.stack == []
    return html, checker


def test_report_is_one_file_without_links(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    html, checker = _write(make_bags(), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["metrics.json", "report.html"]
    for name, key, value in checker.attributes:
        if key in ("src", "href", "xlink:href", "action", "data"):
            assert value.startswith(("data:", "#")), f"{name} {key}={value[:60]}"
    assert not re.search(r"@import|url\((?!#)", html)
    assert len(checker.ids) == len(set(checker.ids)), "an id stands twice"


def test_every_frame_has_drawing_and_pictures(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    html, checker = _write(make_bags(frames=4, planned=lambda i: i != 2), tmp_path)
    assert html.count('<section class="frame card"') == 4
    assert html.count("<svg") == 4
    assert html.count("no plan for this frame") == 1
    pictures = [value for name, key, value in checker.attributes if (name, key) == ("img", "src") and len(value) > 100]
    assert len(pictures) == 4
    with Image.open(io.BytesIO(base64.b64decode(pictures[0].partition(",")[2]))) as picture:
        assert picture.format == "JPEG" and picture.size == (160, 90)
        assert np.asarray(picture).std() > 10  # the plan is drawn into the plain photograph


def test_numbers_on_the_page_are_those_of_the_json(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    html, _ = _write(make_bags(frames=8), tmp_path)
    numbers = json.loads((tmp_path / "metrics.json").read_text())
    assert numbers["model_id"] == "test@abc" and numbers["weights_trained"] is True
    assert numbers["counts"]["plans_out"] == 8
    assert numbers["last_diagnostics"] == {"sensor_sync: sync": {"message": "fine", "emitted": "8"}}
    assert f"{numbers['l2_m']['3s']['mean']:.2f} m" in html
    assert f"{numbers['latency_s']['total']['p95'] * 1e3:.1f} ms" in html


def test_untrained_weights_are_said_plainly(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    html, _ = _write(make_bags(frames=1, model_id="student@untrained"), tmp_path / "a")
    assert "Untrained weights: the plans mean nothing." in html


def test_trained_weights_give_no_warning(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    html, _ = _write(make_bags(frames=1, model_id="student@0123456789ab"), tmp_path / "a")
    assert "mean nothing" not in html


def test_foreign_text_is_escaped(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>&\""
    context = ReportContext(title=evil, model=evil, source=evil, command=evil, facts={evil: evil})
    html, _ = _write(make_bags(frames=1, model_id=f"{evil}@untrained"), tmp_path, context)
    assert "<script>alert" not in html
    assert html.count("<script>") == 1  # our own
    assert "&lt;script&gt;alert" in html
    assert json.loads((tmp_path / "metrics.json").read_text())["model"] == evil


def test_damaged_picture_is_said_and_the_rest_is_there(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    html, _ = _write(make_bags(frames=1, image=np.frombuffer(b"\xff\xd8 no picture", np.uint8)), tmp_path)
    assert "image cannot be decoded" in html and html.count("<svg") == 1


def test_report_without_frames(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    html, _ = _write(make_bags(frames=0), tmp_path)
    assert "The bag holds no frame." in html


def test_folder_that_cannot_be_made_is_one_clear_error(make_bags: Callable[..., Bags], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    bags = make_bags(frames=1)
    with pytest.raises(DistillDriveError, match=r"cannot write .*report\.html.*choose another folder"):
        write_report(bags.source, bags.plans, tmp_path / "file" / "out", CONTEXT)


def test_markup_escapes_text_and_keeps_markup() -> None:
    assert tag("p", "a < b & c", class_='x"y') == '<p class="x&quot;y">a &lt; b &amp; c</p>'
    assert tag("input", type="range", hidden=True, checked=False, aria_label=None) == '<input type="range" hidden>'
    assert join("<", Markup("<br>"), ["&", Markup("&")], None) == "&lt;<br>&amp;&"
