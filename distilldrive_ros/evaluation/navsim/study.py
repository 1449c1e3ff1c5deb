"""Several drivers over several scenes: pseudo closed loop and recorded plans, scored, with the worst windows kept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from distilldrive_ros.datasets.nuscenes import NuScenes
from distilldrive_ros.datasets.records import Scene
from distilldrive_ros.evaluation.navsim.closed_loop import Window, WindowScorer, drive, recorded_drive
from distilldrive_ros.evaluation.navsim.nuscenes_worlds import SceneWorlds
from distilldrive_ros.evaluation.navsim.picture import WindowPicture, window_picture
from distilldrive_ros.evaluation.navsim.planners import PlannerFactory
from distilldrive_ros.evaluation.navsim.summary import Row, summarise_windows
from distilldrive_ros.planning.pdm.errors import ScoringError
from distilldrive_ros.planning.pdm.fidelity import COMPATIBLE, Fidelity
from distilldrive_ros.scene.candidates import PlanCandidates
from distilldrive_ros.scene.errors import DatasetError

LOG, IDM, SINGLE = "log", "idm", "single plans"
RECORDED = "recorded"
AGENTS = (LOG, IDM)


@dataclass(frozen=True)
class WorstWindow:
    """The window of a scene with the least PDMS of a planner, under whichever agents."""

    scene: str
    planner: str
    agents: str
    scores: Row
    picture: WindowPicture = field(repr=False)


@dataclass(frozen=True)
class Study:
    """Results. `total`: over all scenes; `scenes`: (name, row) each; `left_out`: scenes not used, with the reason.

    `notes`: what a reader must know.
    """

    total: tuple[Row, ...]
    scenes: tuple[tuple[str, Row], ...]
    worst: tuple[WorstWindow, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "total": [row.to_json() for row in self.total],
            "scenes": [{"scene": scene, **row.to_json()} for scene, row in self.scenes],
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }


def run_study(
    nuscenes: NuScenes,
    scenes: Sequence[Scene],
    planners: Mapping[str, PlannerFactory],
    plans: Mapping[str, Mapping[int, PlanCandidates]],
    agents: Sequence[str] = AGENTS,
    fidelity: Fidelity = COMPATIBLE,
    untrained: Collection[str] = (),
    progress: Callable[[str], object] = lambda words: None,
) -> Study:
    """Drive and score; the recorded driver comes first. A scene that cannot be used is left out, with the reason.

    Args:
        nuscenes: the open root, with maps.
        scenes: of it.
        planners: driven in closed loop, once per entry of `agents`.
        plans: recorded plans by stamp, scored one by one.
        agents: `LOG`, `IDM`.
        fidelity: as released or as defined.
        untrained: names of planners and plans whose weights were never trained.
        progress: told what is being done.

    Raises:
        ScoringError: no scene can be scored.
    """
    drivers = [(RECORDED, LOG), *((p, a) for p in planners for a in agents), *((name, SINGLE) for name in plans)]
    windows: dict[tuple[str, str], list[Window]] = {driver: [] for driver in drivers}
    without: dict[tuple[str, str], int] = dict.fromkeys(drivers, 0)
    rows: list[tuple[str, Row]] = []
    worst: list[WorstWindow] = []
    left_out: dict[str, str] = {}
    for scene in scenes:
        try:
            worlds = SceneWorlds(nuscenes, scene)
            if not worlds.window_starts:
                raise ScoringError(f"{scene.name} is shorter than 5 s and has no window")
        except (ScoringError, DatasetError) as error:
            left_out[scene.name] = str(error)
            continue
        scorer = WindowScorer(worlds, fidelity)
        found: dict[tuple[str, str], list[Window]] = {}
        for planner, others in drivers:
            progress(f"{scene.name}: {planner}, {others}")
            missing = 0
            if planner == RECORDED:
                scored = scorer.of_rollout(recorded_drive(worlds))
            elif others == SINGLE:
                scored, missing = scorer.of_plans(plans[planner])
            else:
                scored = scorer.of_rollout(drive(worlds, planners[planner](scene.name), others == IDM, fidelity))
            found[planner, others] = scored
            windows[planner, others] += scored
            without[planner, others] += missing
            rows.append((scene.name, summarise_windows(planner, others, scored, missing)))
        worst += _worst(worlds, found)
    if not rows:
        raise ScoringError("no scene can be scored: " + "; ".join(left_out.values()))
    total = tuple(summarise_windows(p, a, windows[p, a], without[p, a]) for p, a in drivers)
    notes = [f"{name}: the weights are untrained: these numbers mean nothing" for name in untrained]
    notes += [
        f"{row.planner}: {row.without_plan} windows have no plan that could be driven (none at that stamp, none valid, "
        "or not finite) and are not in the means"
        for row in total
        if row.without_plan
    ]
    return Study(total, tuple(rows), tuple(worst), left_out, tuple(notes))


def _worst(worlds: SceneWorlds, found: Mapping[tuple[str, str], Sequence[Window]]) -> list[WorstWindow]:
    """Of every planner that has a window."""
    out = []
    for planner in dict.fromkeys(planner for planner, _ in found):
        cases = [(float(w.pdms.score[1]), w.start, a, w) for (p, a), ws in found.items() if p == planner for w in ws]
        if cases:
            _, _, agents, window = min(cases, key=lambda case: case[:2])
            scores = summarise_windows(planner, agents, [window])
            out.append(WorstWindow(worlds.name, planner, agents, scores, window_picture(worlds, window)))
    return out
