"""What the trainings of a study are worth, on scenes that none of them has seen: open loop, and in closed loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from distilldrive_ros.bags.dataset_conversion import ConversionSettings, DatasetConversion
from distilldrive_ros.evaluation.bag_frames import FrameSettings
from distilldrive_ros.evaluation.closed_loop.batch import BatchSettings, run_batch
from distilldrive_ros.evaluation.open_loop.evaluation import SceneModel, evaluate
from distilldrive_ros.models.distilldrive.checkpoint import load_checkpoint, trained_form
from distilldrive_ros.models.distilldrive.network import StudentNetwork
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.models.teacher.checkpoint import load_teacher
from distilldrive_ros.models.teacher.network import TeacherNetwork
from distilldrive_ros.models.weight_files import read_state_dict
from distilldrive_ros.scene.errors import DatasetError
from distilldrive_ros.training.claims.drivers import PerceivedStudent, TeacherDriver
from distilldrive_ros.training.claims.study import STUDENTS, TEACHER, Study
from distilldrive_ros.training.claims.table import Column
from distilldrive_ros.training.pipeline.perceived_scenes import PerceivedScenes
from distilldrive_ros.training.targets.scene import SceneTargets
from distilldrive_ros.training.targets.scene_files import load_or_make_targets
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.looking import look_at_scenes
from distilldrive_ros.training.trainer.stages import student_config, teacher_dimensions
from distilldrive_ros.worlds.driving.world_source import WorldSource

Rows = dict[str, dict[int, dict[str, float | None]]]
"""By kind, seed and column."""

OPEN_LOOP = {
    "l2_m": Column("L2, m", 2),
    "collision_percent": Column("collisions, %", 2),
}
CLOSED_LOOP = {
    "pdms": Column("PDMS", 1),
    "completion_percent": Column("route completion, %", 1),
    "collisions_per_km": Column("collisions per km", 2),
    "off_road_percent": Column("off the road, % of the time", 1),
}
# A rule has no seed.
_ANY_SEED = 0


@dataclass(frozen=True)
class HeldOut:
    """A nuScenes-schema root that no training has seen, by the name that the table shows."""

    name: str
    dataroot: Path
    version: str


def open_loop(
    study: Study,
    held_out: HeldOut,
    frames: FrameSettings,
    rules: Mapping[str, DrivingModel],
    progress: Callable[[str], object],
) -> Rows:
    """L2 and collisions (`stp3_vad`, mean of 1, 2 and 3 s) of teachers, students, and rules beside them.

    Bags of the root are made under the study's folder.

    Raises:
        DatasetError: the root or a scene of it cannot be used.
        DistillDriveError: weights or disk; the message says which and what helps.
    """
    first = study.config(next(iter(STUDENTS)), study.seeds[0])
    config = replace(first, data=replace(first.data, dataroot=held_out.dataroot, version=held_out.version, scenes=()))
    scenes = _targets(config)
    perceived = look_at_scenes(config, list(scenes.values()), torch.device("cpu"), progress)
    folds: dict[str, SceneModel] = {}
    for kind, seed in study.trainings():
        of_scene = _teacher_of if kind == TEACHER else _student_of
        folds[f"{kind}/{seed}"] = partial(of_scene(study, kind, seed, perceived), scenes)
    bags = _bags(held_out, study.out / "bags" / held_out.name, progress)
    result = evaluate(bags, rules, frames, folds=folds, progress=progress)
    if result.left_out:
        raise DatasetError("; ".join(f"{bag} cannot be evaluated: {why}" for bag, why in result.left_out.items()))
    rows: Rows = {}
    for model in result.models:
        kind, _, number = model.name.partition("/")
        table = model.summary.tables["stp3_vad"]
        rows.setdefault(kind, {})[int(number or _ANY_SEED)] = {
            "l2_m": table["l2_m"]["avg"].mean,
            "collision_percent": 100 * table["collision"]["avg"].mean,
            "scored": float(model.summary.scored),
        }
    return rows


def closed_loop(
    worlds: WorldSource,
    models: Mapping[str, DrivingModel | None],
    settings: BatchSettings,
    progress: Callable[[str], object],
) -> Rows:
    """Drives of models named `kind/seed`, or by a name alone where they have no seed.

    Raises:
        WorldError: no world can be made or shown.
    """
    rows: Rows = {}
    for drives in run_batch(worlds, models, settings, progress).models:
        kind, _, number = drives.name.partition("/")
        found = drives.summary
        rows.setdefault(kind, {})[int(number or _ANY_SEED)] = {
            "pdms": 100 * found["scores"]["score"] if found["scores"] else None,
            "completion_percent": None if found["route_completion"] is None else 100 * found["route_completion"],
            "collisions_per_km": found["collisions_per_km"],
            "off_road_percent": None if found["off_road_share"] is None else 100 * found["off_road_share"],
            "drives": float(found["drives"]),
        }
    return rows


def _targets(config: TrainConfig) -> dict[str, SceneTargets]:
    data, cameras = config.data, student_config(config).cameras
    scenes = load_or_make_targets(data.dataroot, data.version, data.scenes, cameras, data.cache)
    return {scene.name: scene for scene in scenes}


def _bags(held_out: HeldOut, folder: Path, progress: Callable[[str], object]) -> Sequence[Path]:
    conversion = DatasetConversion(ConversionSettings(held_out.dataroot, held_out.version, folder, sweeps=False))
    bags = []
    for report in conversion.run():
        progress(f"{held_out.name}: bag of {report.scene_name}")
        bags.append(folder / report.scene_name)
    return sorted(bags)


def _student_of(
    study: Study, kind: str, seed: int, perceived: PerceivedScenes
) -> Callable[[Mapping[str, SceneTargets], str], DrivingModel]:
    path = study.weights(kind, seed)
    content = read_state_dict(path)
    network = StudentNetwork(trained_form(student_config(study.config(kind, seed)), content)).eval()
    name = f"{network.config.name}@{load_checkpoint(network, path, content).digest}"
    return lambda scenes, scene: PerceivedStudent(network, scenes[scene], perceived, name)


def _teacher_of(
    study: Study, kind: str, seed: int, perceived: PerceivedScenes
) -> Callable[[Mapping[str, SceneTargets], str], DrivingModel]:
    network = TeacherNetwork(teacher_dimensions(study.config(kind, seed))).eval()
    name = f"{network.config.name}@{load_teacher(network, study.weights(kind, seed)).digest}"
    return lambda scenes, scene: TeacherDriver(network, scenes[scene], name)
