"""The whole launch, for real: graph, bag and evaluator as processes; the numbers are there when the bag has ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.cli.demo_data import convert_drive, demo_drive
from distilldrive_ros.datasets.demo_scene.maker import DemoSceneOptions

KEY_FRAMES = 8


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_replay_leaves_its_evaluation(ros_domain: int, tmp_path: Path) -> None:
    pytest.importorskip("distilldrive_ros.msg", reason="the messages are not built (make setup)")
    bag = convert_drive(demo_drive(tmp_path, DemoSceneOptions(key_frames=KEY_FRAMES, width=160)), tmp_path / "bags")[0]
    results = tmp_path / "out" / "here"
    words = ["--bag", str(bag), "--model", "pdm_closed", "--composition", "composed", "--evaluate"]
    done = subprocess.run(
        [sys.executable, "-m", "distilldrive_ros.cli.main", "launch", "replay", *words, "--results", str(results)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(results.with_suffix(".json").read_text())
    loop = found["open_loop"]
    # A slow machine may miss a plan or a part, but nothing goes uncounted.
    assert loop["key_frames"] + found["incomplete_key_frames"] == KEY_FRAMES
    assert loop["scored"] + sum(loop["unscored"].values()) == loop["key_frames"]
    assert found["model_id"] == "pdm_closed@privileged"
    assert "<svg" in results.with_suffix(".html").read_text() or not loop["scored"]
