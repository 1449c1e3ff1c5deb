"""A simulated drive as serialised messages: the topics, types and frames of a converted bag. Knows no ROS."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from distilldrive_ros.bags.qos import SENSOR_QOS, TopicQos
from distilldrive_ros.bags.sensor_messages import (
    camera_info_template,
    cloud_parts,
    image_parts,
    image_template,
    odometry_template,
    ros_order,
    static_transforms,
    transform_template,
)
from distilldrive_ros.bags.topics import (
    CAMERA_INFO,
    COMMAND,
    COMPRESSED_IMAGE,
    FIXED_TOPICS,
    LIDAR,
    MAP,
    OBJECTS,
    ODOMETRY,
    PATH,
    ROUTE,
    SAMPLE_INFO,
    TF,
    TF_STATIC,
    camera_info_topic,
    image_topic,
)
from distilldrive_ros.bags.truth_messages import command_message, map_message, objects_cdr, sample_message
from distilldrive_ros.bags.typed_messages import serialised
from distilldrive_ros.datasets.map_region import map_region
from distilldrive_ros.datasets.records import Sample, Scene
from distilldrive_ros.scene.command import Command
from distilldrive_ros.worlds.driving.ground_truth import PlaceLayers, WorldTruth, rig_sensors, snapshot_boxes
from distilldrive_ros.worlds.driving.sensor_set import SensorSet
from distilldrive_ros.worlds.rig import Rig
from distilldrive_ros.worlds.session import WorldSession
from distilldrive_ros.worlds.world import EgoState, Snapshot

DATASET = "simulation"
# Topic, stamp in nanoseconds of simulated time, CDR.
StampedBytes = tuple[str, int, bytes]


def simulation_topics(rig: Rig) -> dict[str, tuple[str, TopicQos]]:
    """Type and quality of service of every topic. Nobody knows the way that the vehicle will go: no path of truth."""
    topics = {name: offer for name, offer in FIXED_TOPICS.items() if name != PATH}
    for camera in rig.cameras:
        topics[image_topic(camera.channel)] = (COMPRESSED_IMAGE, SENSOR_QOS)
        topics[camera_info_topic(camera.channel)] = (CAMERA_INFO, SENSOR_QOS)
    return topics


class SimulationMessages:
    """Messages of one drive. Its stamps are `start_ns` plus the world's time."""

    def __init__(self, session: WorldSession, rig: Rig, scene_token: str, start_ns: int) -> None:
        """Prepare the messages' forms. `scene_token`: another one for every drive, so that models forget the last."""
        self._rig, self._start_ns = rig, start_ns
        # A world's own time need not begin at 0.
        self._begin_ns = self.stamp_ns(session.snapshot.time_ns)
        self._sensors = rig_sensors(rig)
        self._layers = PlaceLayers(session.place)
        self._region = WorldTruth(session).region
        self._scene = Scene(
            scene_token, session.name, session.description, session.place.name, "simulated", 0, "", ""
        )  # fmt: skip
        self._transform, self._odometry = transform_template(), odometry_template(True)
        self._images = {c.channel: image_template(c.channel) for c in rig.cameras}
        self._infos = {
            c.channel: camera_info_template(self._sensors[c.channel], c.width, c.height) for c in rig.cameras
        }
        self._sets = 0
        self._told_ns = -1

    def stamp_ns(self, time_ns: int) -> int:
        """Simulated time of the graph at a world's time."""
        return self._start_ns + time_ns

    def transforms(self) -> StampedBytes:
        """/tf_static, which late listeners get, too."""
        message = static_transforms(self._begin_ns, self._sensors)
        return TF_STATIC, self._begin_ns, serialised(message, FIXED_TOPICS[TF_STATIC][0])

    def calibration(self) -> Iterator[StampedBytes]:
        """A camera_info of every camera, ahead of the first pictures."""
        for camera in self._rig.cameras:
            info = bytes(self._infos[camera.channel].fill([self._begin_ns]))
            yield camera_info_topic(camera.channel), self._begin_ns, info

    def ego(self, time_ns: int, ego: EgoState) -> Iterator[StampedBytes]:
        """Transform and odometry; once for every instant, and never back in time."""
        if time_ns <= self._told_ns:
            return
        self._told_ns = time_ns
        stamp = self.stamp_ns(time_ns)
        half = ego.yaw / 2
        pose = (*ego.position.tolist(), 0.0, *ros_order(np.array([np.cos(half), 0.0, 0.0, np.sin(half)])).tolist())
        yield TF, stamp, bytes(self._transform.fill([stamp], pose))
        twist = (ego.speed, 0.0, 0.0, 0.0, 0.0, ego.yaw_rate)
        yield ODOMETRY, stamp, bytes(self._odometry.fill([stamp], pose, twist))

    def sensors(self, seen: SensorSet, snapshot: Snapshot, command: Command) -> Iterator[StampedBytes]:
        """One set in the order of its stamps; the LiDAR, which everything waits for, comes last."""
        for shot in sorted(seen.shots, key=lambda shot: shot.stamp_ns):
            yield from self.ego(shot.stamp_ns, shot.ego)
            stamp = self.stamp_ns(shot.stamp_ns)
            yield camera_info_topic(shot.channel), stamp, bytes(self._infos[shot.channel].fill([stamp]))
            yield image_topic(shot.channel), stamp, b"".join(image_parts(self._images[shot.channel], stamp, shot.jpeg))
        yield from self.ego(seen.stamp_ns, seen.ego)
        stamp = self.stamp_ns(seen.stamp_ns)
        yield COMMAND, stamp, serialised(command_message(stamp, command), FIXED_TOPICS[COMMAND][0])
        sample = Sample(f"{self._scene.token}-{self._sets}", stamp, self._scene.token, self._sets, "", "")
        self._sets += 1
        info = sample_message(stamp, DATASET, self._scene, sample)
        yield SAMPLE_INFO, stamp, serialised(info, FIXED_TOPICS[SAMPLE_INFO][0])
        pose = seen.ego.world_from_base
        yield OBJECTS, stamp, objects_cdr(stamp, snapshot_boxes(snapshot), 0, pose)
        region = map_region(self._layers, pose, self._rig.lidar.base_from_lidar)
        yield MAP, stamp, serialised(map_message(stamp, region), FIXED_TOPICS[MAP][0])
        yield ROUTE, stamp, serialised(map_message(stamp, self._region.at(pose)), FIXED_TOPICS[ROUTE][0])
        # The points are turned into their message in place: they stay the caller's.
        cloud = cloud_parts(stamp, self._rig.lidar.channel, np.array(seen.points, order="C"), self._scene.name)
        yield LIDAR, stamp, b"".join(cloud)
