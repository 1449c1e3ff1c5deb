"""Node `evaluator`: plans and a bag's ground truth in, open-loop metrics out. The rules are in `evaluation.open_loop`.

Works on a live graph that a converted bag is played to, and on recorded plans played beside their source.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nav_msgs.msg import Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

import distilldrive_ros.msg as msg
from distilldrive_ros.evaluation.open_loop.calibration import calibration
from distilldrive_ros.evaluation.open_loop.online import OnlineEvaluator
from distilldrive_ros.evaluation.report.comparison import comparison_html
from distilldrive_ros.evaluation.report.machine import machine_facts
from distilldrive_ros.evaluation.report.writer import write_whole
from distilldrive_ros.messages.fields import stamp_ns
from distilldrive_ros.messages.plans import path_from_message
from distilldrive_ros.nodes.conversions import (
    command_from_message,
    inference_stats_from_message,
    objects_from_message,
    plan_from_message,
    sample_info_from_message,
)
from distilldrive_ros.nodes.conversions.poses import pose_matrix
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.evaluator import TABLE
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs, gone_on_failure
from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.nodes.sensing.extrinsics import StaticExtrinsics
from distilldrive_ros.scene.errors import DistillDriveError, SensorDataError

DEPTH = 100
ODOMETRY_DEPTH = 500


class EvaluatorNode(Node):
    """Listens to plans and truth; `close` decides what still waits and writes the results."""

    def __init__(self, **node_arguments: Any) -> None:
        """Make the node; `node_arguments` go to `rclpy.node.Node`.

        Raises:
            ConfigurationError: a parameter is wrong.
        """
        super().__init__("evaluator", **node_arguments)
        with gone_on_failure(self):
            self._set_up()

    def _set_up(self) -> None:
        self._settings = ParameterServer(self, TABLE).current
        self.exit_code = 0
        self._closed = False
        self.evaluator = OnlineEvaluator()
        self._extrinsics = StaticExtrinsics("base_link")
        self._diagnostics = DiagnosticsPublisher(self, self._settings.diagnostics_period_s, self._refresh)
        self._inputs = GuardedInputs(self, self._diagnostics, CallbackGuard(self, self._diagnostics))
        listen, truth = self._inputs.listen, self.evaluator.add_truth
        listen(msg.SampleInfo, "sample_info", lambda m: truth(sample_info_from_message(m)), qos.reliable(DEPTH))
        listen(msg.DrivingCommand, "command", lambda m: truth(command_from_message(m)), qos.reliable(DEPTH))
        listen(
            msg.ObjectPredictions, "ground_truth/objects", lambda m: truth(objects_from_message(m)), qos.reliable(DEPTH)
        )
        listen(PathMessage, "ground_truth/path", lambda m: truth(path_from_message(m)), qos.reliable(DEPTH))
        listen(Odometry, "odometry", self._on_odometry, qos.sensor("best_effort", ODOMETRY_DEPTH))
        listen(
            msg.PathCandidates,
            "planner/paths",
            lambda m: self.evaluator.add_plan(plan_from_message(m)),
            qos.reliable(DEPTH),
        )
        listen(
            msg.InferenceStats,
            "perception_planning/stats",
            lambda m: self.evaluator.add_stats(inference_stats_from_message(m)),
            qos.reliable(DEPTH),
        )
        listen(TFMessage, "/tf_static", self._on_tf_static, qos.latched(DEPTH))

    def _on_odometry(self, message: Odometry) -> None:
        self.evaluator.add_pose(stamp_ns(message.header.stamp), pose_matrix(message.pose.pose))

    def _on_tf_static(self, message: TFMessage) -> None:
        self._extrinsics.add(message)
        try:
            self.evaluator.base_from_lidar = self._extrinsics.base_from(self._settings.lidar_frame)
        except SensorDataError as error:
            self._diagnostics.event("extrinsics", Level.WARN, f"{error}; nuScenes' mounting is assumed")

    def results(self) -> dict[str, Any]:
        """Content of the JSON file: everything decided so far."""
        return {
            "model_id": self.evaluator.model_id,
            "open_loop": self.evaluator.summary(self._settings.bootstrap_seed).to_json(),
            "calibration": calibration(self.evaluator.scores).to_json(),
            "incomplete_key_frames": self.evaluator.incomplete,
        }

    def close(self) -> None:
        """Decide what still waits, write the results, stop. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self.evaluator.finish()
        self._write(self._settings.output, lambda: json.dumps(self.results(), indent=2) + "\n")
        self._write(self._settings.page, self.page)
        if self.context.ok():  # else its timers are gone already
            self._diagnostics.stop()

    def page(self) -> str:
        """Content of the HTML file: everything decided so far."""
        result = self.evaluator.evaluation(self._settings.bootstrap_seed)
        return comparison_html(result, f"Open loop, live: {self.evaluator.model_id}", "evaluator", machine_facts())

    def _write(self, path: str, content: Callable[[], str]) -> None:
        if not path:
            return
        try:
            write_whole(Path(path), content())
            self.get_logger().info(f"results: {path}")
        except DistillDriveError as error:
            self.get_logger().error(str(error))
            self.exit_code = 1

    def _refresh(self) -> None:
        scores, unscored = self.evaluator.scores, self.evaluator.unscored
        if not scores:
            said = f"{sum(unscored.values())} key frames, none with a score" if unscored else "no key frame decided yet"
            self._diagnostics.set("open_loop", Level.WARN, said)
            return
        l2 = sum(float(s.l2.mean()) for s in scores) / len(scores)
        hits = sum(float(s.hits.mean()) for s in scores) / len(scores)
        counts = {f"unscored_{reason.name.lower()}": count for reason, count in unscored.items()}
        self._diagnostics.set(
            "open_loop",
            Level.OK,
            f"mean L2 over 3 s {l2:.2f} m, collisions {100 * hits:.2f} % over {len(scores)} key frames",
            scored=len(scores),
            model_id=self.evaluator.model_id,
            **counts,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Program `evaluator`."""
    return run_node(EvaluatorNode, argv)


if __name__ == "__main__":
    sys.exit(main())
