"""Many closed-loop drives: every model through the same worlds, in one process, the same result every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from distilldrive_ros.evaluation.closed_loop.drawing import drive_svg
from distilldrive_ros.evaluation.closed_loop.result import DriveResult, drive_result, summary
from distilldrive_ros.models.interface import DrivingModel
from distilldrive_ros.scene.errors import WorldError
from distilldrive_ros.worlds.driving.closed_loop import DrivingSettings
from distilldrive_ros.worlds.driving.drive_log import DriveLog
from distilldrive_ros.worlds.driving.model_driver import drive, drive_expert
from distilldrive_ros.worlds.driving.sensor_set import Sensors
from distilldrive_ros.worlds.driving.world_source import WorldSource
from distilldrive_ros.worlds.rig import Rig, nominal_rig
from distilldrive_ros.worlds.session import WorldSession

# Name of the driver who is no model: he sees the true state of the world.
EXPERT = "expert"
Progress = Callable[[str], object]


@dataclass(frozen=True)
class BatchSettings:
    """`driving`: see there. `image_width` of the cameras in px; `seed` of the LiDAR's noise."""

    driving: DrivingSettings
    image_width: int = 704
    seed: int = 0


@dataclass
class ModelDrives:
    """All drives of one model. `pictures`: an SVG of each; `plan_seconds`: time of every inference."""

    name: str
    model_id: str
    trained: bool
    results: list[DriveResult] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list, repr=False)
    plan_seconds: list[float] = field(default_factory=list, repr=False)

    @property
    def summary(self) -> dict[str, Any]:
        """See `result.summary`."""
        return summary(self.results)


@dataclass
class BatchResult:
    """Of all models; `left_out`: worlds that could not be made, with the reason."""

    models: list[ModelDrives]
    left_out: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For machines; the same numbers every time."""
        return {
            "models": [
                {
                    "name": m.name,
                    "model_id": m.model_id,
                    "trained": m.trained,
                    "summary": m.summary,
                    "drives": [r.to_json() for r in m.results],
                }
                for m in self.models
            ],
            "left_out": self.left_out,
        }


def run_batch(
    worlds: WorldSource,
    models: Mapping[str, DrivingModel | None],
    settings: BatchSettings,
    progress: Progress = lambda words: None,
) -> BatchResult:
    """Drive.

    Args:
        worlds: each is made anew for every model, so that all meet the same beginning.
        models: by name; None: the expert.
        settings: of the drives.
        progress: told of each drive that is done.

    Raises:
        WorldError: no world at all can be made or shown; the message says why.
    """
    out = BatchResult([_empty(name, model) for name, model in models.items()])
    for number in range(len(worlds)):
        for drives, model in zip(out.models, models.values(), strict=True):
            try:
                session = worlds.open(number)
            except WorldError as error:
                out.left_out[f"world {number}"] = str(error)
                progress(f"world {number} left out")
                continue
            try:
                log = _drive(session, model, worlds, settings, number, drives)
            finally:
                session.close()
            drives.results.append(drive_result(log))
            drives.pictures.append(drive_svg(log, f"{len(drives.results)}-{drives.name}"))
            progress(f"{drives.name} {log.name}")
    if out.left_out and not any(m.results for m in out.models):
        raise WorldError(f"no world can be driven in: {next(iter(out.left_out.values()))}")
    return out


def _empty(name: str, model: DrivingModel | None) -> ModelDrives:
    if model is None:
        return ModelDrives(name, f"{name}@privileged", True)
    return ModelDrives(name, model.model_id, model.trained)


def _drive(
    session: WorldSession,
    model: DrivingModel | None,
    worlds: WorldSource,
    settings: BatchSettings,
    number: int,
    drives: ModelDrives,
) -> DriveLog:
    if model is None:
        return drive_expert(session, settings.driving)
    needs = model.requirements
    rig = fitted_rig(settings.image_width, needs.cameras)
    blind = not needs.cameras and not needs.lidar
    renderer = None if blind else worlds.renderer(session, rig)
    sensors = Sensors(rig, renderer, needs.cameras, needs.lidar, settings.seed + number)
    try:
        log, driver = drive(session, model, sensors, settings.driving)
    finally:
        sensors.close()
    drives.plan_seconds += driver.seconds
    return log


def fitted_rig(image_width: int, cameras: tuple[str, ...]) -> Rig:
    """The rig with those cameras only: what nobody looks at is not drawn."""
    rig = nominal_rig(image_width)
    return replace(rig, cameras=tuple(c for c in rig.cameras if c.channel in cameras))
