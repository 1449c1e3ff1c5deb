"""Reader of a data set root in the nuScenes v1.0 schema: tables to typed records.

Own and small, because the official devkit pins numpy below 2. Only what is asked for is read and indexed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.datasets.categories import detection_class
from distilldrive_ros.datasets.futures import MAX_TIME_DIFF_S
from distilldrive_ros.datasets.records import (
    NS_PER_US,
    Annotation,
    CalibratedSensor,
    EgoPose,
    Sample,
    SampleData,
    Scene,
)
from distilldrive_ros.datasets.tables import Row, Tables
from distilldrive_ros.scene.errors import DatasetError

LIDAR_CHANNEL = "LIDAR_TOP"


class NuScenes:
    """A root. All methods raise `DatasetError` for missing tables, dangling tokens and ill-typed fields."""

    def __init__(self, dataroot: Path | str, version: str) -> None:
        """Open a root; tables are read later.

        Raises:
            DatasetError: no such folder or version.
        """
        self.tables = Tables(dataroot, version)
        self._calibrations: dict[str, CalibratedSensor] = {}

    @property
    def dataroot(self) -> Path:
        """Folder that holds the version's folder, `samples/`, `sweeps/` and `maps/`."""
        return self.tables.dataroot

    @property
    def version(self) -> str:
        """For instance v1.0-mini."""
        return self.tables.version

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes, in table order."""
        return tuple(self._scene(row) for row in self.tables.rows("scene"))

    def scene(self, name_or_token: str) -> Scene:
        """One scene.

        Raises:
            DatasetError: there is none of that name or token; the message lists the names.
        """
        for scene in self.scenes:
            if name_or_token in (scene.name, scene.token):
                return scene
        names = ", ".join(s.name for s in self.scenes[:12]) + (", ..." if len(self.scenes) > 12 else "")
        raise DatasetError(f"{self.tables.path('scene')} has no scene {name_or_token!r}; it has: {names or 'none'}")

    def samples(self, scene: Scene) -> list[Sample]:
        """Key frames of a scene, in time order, by following `next`."""
        samples: list[Sample] = []
        token, needed_by = scene.first_sample_token, f"scene {scene.name}"
        for row in self._chain("sample", token, needed_by):
            with self.tables.reading("sample", row):
                if row["scene_token"] != scene.token:
                    raise DatasetError(
                        f"{self.tables.path('sample')}, row {row['token']}: reached from {needed_by}, but it names "
                        f"scene {row['scene_token']}; copy the table again"
                    )
                stamp_ns = int(row["timestamp"]) * NS_PER_US
                samples.append(
                    Sample(row["token"], stamp_ns, row["scene_token"], len(samples), row["prev"], row["next"])
                )
            if row["token"] == scene.last_sample_token:
                break
        return samples

    def sample_data(self, scene: Scene, samples: Sequence[Sample] | None = None) -> list[SampleData]:
        """Measurements of all sensors of a scene, key frames and sweeps, in time order (equal stamps: by channel).

        Args:
            scene: the scene.
            samples: its key frames, where the caller has them already.
        """
        groups = (self._data_by_sample.get(s.token, ()) for s in (samples or self.samples(scene)))
        found = [self._sample_data(row) for group in groups for row in group]
        return sorted(found, key=lambda d: (d.stamp_ns, d.channel))

    def key_frame(self, sample: Sample, channel: str) -> SampleData | None:
        """The measurement of one sensor that belongs to a key frame, or None."""
        for row in self._data_by_sample.get(sample.token, ()):
            if row.get("is_key_frame"):
                data = self._sample_data(row)
                if data.channel == channel:
                    return data
        return None

    def calibrated_sensor(self, token: str, needed_by: str = "a measurement") -> CalibratedSensor:
        """Mounting and intrinsics of a sensor."""
        if token not in self._calibrations:
            row = self.tables.get("calibrated_sensor", token, needed_by)
            with self.tables.reading("calibrated_sensor", row):
                sensor = self.tables.get("sensor", row["sensor_token"], f"calibrated_sensor {token}")
                intrinsic = row.get("camera_intrinsic") or None
                self._calibrations[token] = CalibratedSensor(
                    token=token,
                    channel=sensor["channel"],
                    modality=sensor["modality"],
                    translation=_vector(row["translation"], 3),
                    rotation=_quaternion(row["rotation"]),
                    intrinsics=None if intrinsic is None else _vector(intrinsic, 9).reshape(3, 3),
                )
        return self._calibrations[token]

    def ego_pose(self, token: str, needed_by: str = "a measurement") -> EgoPose:
        """Pose of the vehicle."""
        row = self.tables.get("ego_pose", token, needed_by)
        with self.tables.reading("ego_pose", row):
            stamp_ns = int(row["timestamp"]) * NS_PER_US
            return EgoPose(token, stamp_ns, _vector(row["translation"], 3), _quaternion(row["rotation"]))

    def annotations(self, sample: Sample) -> list[Annotation]:
        """Boxes of a key frame, in table order."""
        return [self._annotation(row) for row in self.annotation_rows(sample)]

    def annotation_rows(self, sample: Sample) -> list[Row]:
        """The same as raw rows, for readers that take a whole scene's boxes as arrays (`boxes.scene_boxes`)."""
        return self._annotations_by_sample.get(sample.token, [])

    def read_tables(self) -> None:
        """Read and index now what scenes share, so that forked processes share it too."""
        _ = self._data_by_sample, self._annotations_by_sample, self.instance_category, self.instance_index
        for table in ("sample", "calibrated_sensor", "sensor", "ego_pose", "sample_annotation", "instance"):
            self.tables.by_token(table)

    def file(self, data: SampleData) -> Path:
        """Where the pixels or points of a measurement should be."""
        return self.dataroot / data.filename

    def _chain(self, table: str, token: str, needed_by: str) -> Iterator[Row]:
        """Rows from a token along `next`.

        Raises:
            DatasetError: a token is missing, or the chain meets itself.
        """
        seen = set()
        while token:
            if token in seen:
                raise DatasetError(f"{self.tables.path(table)}, row {token}: the chain of `next` runs in a circle")
            seen.add(token)
            row = self.tables.get(table, token, needed_by)
            yield row
            needed_by, token = f"`next` of {token}", row.get("next", "")

    def _scene(self, row: Row) -> Scene:
        with self.tables.reading("scene", row):
            log = self.tables.get("log", row["log_token"], f"scene {row['name']}")
            return Scene(
                token=row["token"],
                name=row["name"],
                description=row.get("description", ""),
                location=log.get("location", ""),
                vehicle=log.get("vehicle", ""),
                num_samples=int(row["nbr_samples"]),
                first_sample_token=row["first_sample_token"],
                last_sample_token=row["last_sample_token"],
            )

    @cached_property
    def _data_by_sample(self) -> dict[str, list[Row]]:
        return self._grouped_by_sample("sample_data")

    @cached_property
    def _annotations_by_sample(self) -> dict[str, list[Row]]:
        return self._grouped_by_sample("sample_annotation")

    def _grouped_by_sample(self, table: str) -> dict[str, list[Row]]:
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in self.tables.rows(table):
            groups[row.get("sample_token", "")].append(row)
        for row in groups.get("", ()):
            raise DatasetError(f"{self.tables.path(table)}, row {row['token']}: no sample_token; copy the table again")
        return dict(groups)

    @cached_property
    def instance_category(self) -> dict[str, str]:
        """Category name of each instance token."""
        return {
            row["token"]: self.tables.get("category", row["category_token"], f"instance {row['token']}")["name"]
            for row in self.tables.rows("instance")
        }

    @cached_property
    def instance_index(self) -> dict[str, int]:
        """Row number of each instance token in its table."""
        return {row["token"]: index for index, row in enumerate(self.tables.rows("instance"))}

    def _sample_data(self, row: Row) -> SampleData:
        with self.tables.reading("sample_data", row):
            calibration = self.calibrated_sensor(row["calibrated_sensor_token"], f"sample_data {row['token']}")
            return SampleData(
                token=row["token"],
                sample_token=row["sample_token"],
                channel=calibration.channel,
                modality=calibration.modality,
                stamp_ns=int(row["timestamp"]) * NS_PER_US,
                is_key_frame=bool(row["is_key_frame"]),
                filename=row["filename"],
                file_format=row.get("fileformat", ""),
                width=int(row.get("width") or 0),
                height=int(row.get("height") or 0),
                ego_pose_token=row["ego_pose_token"],
                calibrated_sensor_token=row["calibrated_sensor_token"],
                prev=row["prev"],
                next=row["next"],
            )

    def _annotation(self, row: Row) -> Annotation:
        with self.tables.reading("sample_annotation", row):
            by = f"sample_annotation {row['token']}"
            self.tables.get("instance", row["instance_token"], by)
            category = self.instance_category[row["instance_token"]]
            visibility = row.get("visibility_token") or ""
            width, length, height = _vector(row["size"], 3)
            return Annotation(
                token=row["token"],
                sample_token=row["sample_token"],
                instance_token=row["instance_token"],
                instance_index=self.instance_index[row["instance_token"]],
                category=category,
                class_name=detection_class(category),
                translation=_vector(row["translation"], 3),
                size=np.array([length, width, height]),
                rotation=_quaternion(row["rotation"]),
                velocity=self._velocity(row),
                attributes=tuple(self.tables.get("attribute", t, by)["name"] for t in row["attribute_tokens"]),
                visibility=self.tables.get("visibility", visibility, by)["level"] if visibility else "",
                num_lidar_points=int(row["num_lidar_pts"]),
                num_radar_points=int(row["num_radar_pts"]),
                prev=row["prev"],
                next=row["next"],
            )

    def _velocity(self, row: Row) -> NDArray[np.float64]:
        """Velocity (3,) m/s by the rule of the nuScenes devkit: central difference, one-sided at a track's ends."""
        by = f"sample_annotation {row['token']}"
        ends = [self.tables.get("sample_annotation", row[k], by) if row[k] else row for k in ("prev", "next")]
        if ends[0] is ends[1]:
            return np.full(3, np.nan)
        elapsed = (self._sample_stamp_ns(ends[1]) - self._sample_stamp_ns(ends[0])) / 1e9
        limit = MAX_TIME_DIFF_S * (2 if row["prev"] and row["next"] else 1)
        if not 0 < elapsed <= limit:
            return np.full(3, np.nan)
        return (_vector(ends[1]["translation"], 3) - _vector(ends[0]["translation"], 3)) / elapsed

    def _sample_stamp_ns(self, annotation: Row) -> int:
        by = f"sample_annotation {annotation['token']}"
        return int(self.tables.get("sample", annotation["sample_token"], by)["timestamp"]) * NS_PER_US


def _vector(values: object, length: int) -> NDArray[np.float64]:
    """Raises: ValueError: another number of values, or one is not finite."""
    out = np.asarray(values, np.float64).reshape(-1)
    if len(out) != length or not np.isfinite(out).all():
        raise ValueError(f"{values} is not {length} finite numbers")
    return out


def _quaternion(values: object) -> NDArray[np.float64]:
    """Raises: ValueError: not four numbers, or zero."""
    out = _vector(values, 4)
    if np.linalg.norm(out) < 1e-6:
        raise ValueError(f"{values} is not a rotation")
    return out
