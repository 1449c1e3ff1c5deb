"""One process per job: what they say arrives, what kills one is named, and none outlives its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.workers import run_jobs

# Spawned processes import their work by its module's name.
WORK = """
import errno, os, signal, sys, time
from pathlib import Path
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.dataset.workers import run_jobs

def work(job, advance):
    advance(0.25)
    name = Path(job).name
    if name == "refused":
        raise WorldError("no way through")
    if name == "full":
        if Path(job).with_name("fifo").exists():
            Path(job).with_name("fifo").read_text()  # until the other one is at work
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")
    if name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "busy":
        try:
            Path(job).with_name("fifo").write_text("at work")
            while True:
                advance(0.0)
        finally:
            Path(job).write_text("put away")
    if name.startswith("endless"):
        print(name, flush=True)
        while True:
            advance(0.0)
    Path(job).write_text("done")

if __name__ == "__main__":
    for _ in run_jobs(work, sys.argv[1:], 2, lambda share: None):
        pass
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """The function `work` of a module that can be imported in another process."""
    (tmp_path / "job_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "job_work", raising=False)
    import job_work

    return job_work.work


def test_every_job_is_done_and_shares_add_up(work: object, tmp_path: Path) -> None:
    jobs, shares = [str(tmp_path / name) for name in ("a", "b", "c")], []
    outcomes = list(run_jobs(work, jobs, 2, shares.append))  # type: ignore[arg-type]
    assert sorted(outcome.job for outcome in outcomes) == jobs
    assert all(Path(job).read_text() == "done" for job in jobs)
    assert sum(shares) == pytest.approx(3.0)


def test_job_that_cannot_be_done_leaves_the_others_be(work: object, tmp_path: Path) -> None:
    jobs = [str(tmp_path / name) for name in ("refused", "b")]
    outcomes = {Path(o.job).name: o.failure for o in run_jobs(work, jobs, 1, lambda share: None)}  # type: ignore[arg-type]
    assert outcomes == {"refused": "no way through", "b": ""}


@pytest.mark.parametrize(
    ("name", "said"),
    [("full", r"cannot write .*full: No space left"), ("killed", "killed was killed by signal 9")],
)
def test_what_would_meet_all_ends_the_run(work: object, tmp_path: Path, name: str, said: str) -> None:
    jobs = [str(tmp_path / name), str(tmp_path / "b")]
    with pytest.raises(WorldError, match=said):
        list(run_jobs(work, jobs, 1, lambda share: None))  # type: ignore[arg-type]
    assert not (tmp_path / "b").exists()


def test_others_put_away_what_they_hold_when_a_run_ends(work: object, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    jobs = [str(tmp_path / name) for name in ("busy", "full")]
    with pytest.raises(WorldError, match="No space left"):
        list(run_jobs(work, jobs, 2, lambda share: None))  # type: ignore[arg-type]
    assert (tmp_path / "busy").read_text() == "put away"


def test_workers_end_when_their_caller_is_killed(work: object, tmp_path: Path, repository: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(repository), str(tmp_path)])}
    command = [sys.executable, str(tmp_path / "job_work.py"), "endless_0", "endless_1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        try:
            assert {caller.stdout.readline().strip() for _ in range(2)} == {"endless_0", "endless_1"}
        finally:
            caller.send_signal(signal.SIGKILL)
        # Its end comes when the last process that may write to it has ended.
        assert caller.stdout.read() == ""
