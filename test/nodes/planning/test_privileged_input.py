"""A privileged model in the graph: it waits for the ground truth, says what is missing, and plans once it is there."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from distilldrive_ros.nodes.conversions.factory import ROS
from distilldrive_ros.nodes.running.diagnostics import Level
from distilldrive_ros.scene.vector_map import PolylineKind

conftest = import_module("test.nodes.conftest")
START_NS = conftest.START_NS
SUBJECT = "perception_planning: ground_truth"


def road_message(stamp_ns):
    from distilldrive_ros import msg

    line = np.stack([np.arange(-20.0, 131.0), np.zeros(151)], axis=-1)
    area = np.array([(-50, -6), (200, -6), (200, 6), (-50, 6), (-50, -6)], float)
    elements = ((PolylineKind.CENTERLINE, line), (PolylineKind.DRIVABLE_AREA, area), (PolylineKind.ROUTE_LANE, area))
    return msg.VectorMap(
        header=ROS.header(stamp_ns, "base_link"),
        polylines=[msg.MapPolyline(kind=int(k), score=1.0, xy=p.ravel().tolist()) for k, p in elements],
    )


def test_sets_wait_for_their_truth_and_its_absence_is_an_error(drive):
    from distilldrive_ros import msg
    from distilldrive_ros.nodes.running import qos

    objects = drive.node.create_publisher(msg.ObjectPredictions, "ground_truth/objects", qos.reliable(10))
    route = drive.node.create_publisher(msg.VectorMap, "ground_truth/route", qos.reliable(10))
    drive.sensor_sync()
    node = drive.perception_planning(model="pdm_closed")
    drive.planner()
    drive.spin_until(lambda: node.active, "autostart")
    drive.connect()
    drive.spin_until(
        lambda: objects.get_subscription_count() and route.get_subscription_count(), "the truth's listener"
    )
    drive.send_set(START_NS)
    drive.wait_for_status(SUBJECT, Level.ERROR, "sets without ground truth of their stamp: the model is privileged")
    assert not drive.received["planner/paths"]
    objects.publish(msg.ObjectPredictions(header=ROS.header(START_NS, "base_link")))
    route.publish(road_message(START_NS))
    paths = drive.received["planner/paths"]
    drive.spin_until(lambda: len(paths) == 1, "the plan")
    assert paths[0].model_id == "pdm_closed@privileged" and len(paths[0].paths) == 21
    drive.received["/diagnostics"].clear()
    drive.wait_for_status(SUBJECT, Level.OK, "privileged model: sees")
