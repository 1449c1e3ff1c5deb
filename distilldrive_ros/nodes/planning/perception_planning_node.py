"""Lifecycle node `perception_planning`: sets in; candidates, road users and map out. One worker thread infers."""

from __future__ import annotations

import gc
import math
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

import distilldrive_ros.msg as msg
from distilldrive_ros.models.interface import DrivingModel, ModelOutput
from distilldrive_ros.models.registry import ModelRequest, load_model
from distilldrive_ros.models.session import ModelSession
from distilldrive_ros.nodes.conversions import (
    candidates_to_message,
    inference_stats_to_message,
    objects_to_message,
    sensor_frame_from_message,
    vector_map_to_message,
)
from distilldrive_ros.nodes.conversions.pictures import picture_message
from distilldrive_ros.nodes.parameters.server import ParameterServer
from distilldrive_ros.nodes.parameters.tables.perception_planning import TABLE
from distilldrive_ros.nodes.planning.inference_health import InferenceHealth, device_memory_bytes, release_device_memory
from distilldrive_ros.nodes.planning.latest_wins import LatestWinsWorker
from distilldrive_ros.nodes.planning.privileged_input import PrivilegedInput
from distilldrive_ros.nodes.running import qos
from distilldrive_ros.nodes.running.clock_watch import ClockWatch
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level
from distilldrive_ros.nodes.running.guard import CallbackGuard
from distilldrive_ros.nodes.running.guarded_inputs import GuardedInputs, gone_on_failure
from distilldrive_ros.nodes.running.listener_gate import ListenerGate
from distilldrive_ros.nodes.running.main import run_node
from distilldrive_ros.scene.errors import DistillDriveError, ModelOutputError
from distilldrive_ros.scene.inference_stats import InferenceStats
from distilldrive_ros.scene.sensor_frame import SensorFrame

FRAME_TOPIC = "sensor_sync/frame"
WORKER_STOP_TIMEOUT_S = 30.0
# A greater difference between stamps and our clock is none of age: a bag without /clock.
CLOCKS_DIFFER_S = 60.0


class PerceptionPlanningNode(LifecycleNode):
    """Loads the model at configure, listens while active. `exit_code` is set where only a new process can help."""

    def __init__(self, frames_by_reference: bool = False, **node_arguments: Any) -> None:
        """Make the node.

        Args:
            frames_by_reference: sets come through `accept_frame` from a node of the same process; no subscription.
            node_arguments: for `rclpy.node.Node`.

        Raises:
            ConfigurationError: a parameter is wrong.
        """
        super().__init__("perception_planning", **node_arguments)
        self._frames_by_reference = frames_by_reference
        self.exit_code = 0
        with gone_on_failure(self):
            self._set_up()

    def _set_up(self) -> None:
        self._server = ParameterServer(self, TABLE)
        settings = self._server.current
        self._session: ModelSession | None = None
        self._worker: LatestWinsWorker | None = None
        self._subscription: Any = None
        self._gate: ListenerGate | None = None
        self._privileged: PrivilegedInput | None = None
        self._outputs: dict[str, Any] = {}
        self._reset_request = threading.Event()
        self._counted = {"dropped": 0, "failed": 0, "resets": 0}
        self._diagnostics = DiagnosticsPublisher(self, settings.diagnostics_period_s, self._refresh)
        self._guard = CallbackGuard(self, self._diagnostics)
        self._inputs = GuardedInputs(self, self._diagnostics, self._guard)
        self._health = InferenceHealth(self._diagnostics)
        self._clock_watch = ClockWatch(self, self._diagnostics, settings.clock_timeout_s)
        self._diagnostics.set("model", Level.WARN, "not configured")
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._autostart_timer = None
        if settings.autostart:
            # From the executor, so that the program already answers (and reports a failure) while it starts.
            self._autostart_timer = self.create_timer(
                0.0, self._guard.wrap("model", self.start_now), clock=Clock(clock_type=ClockType.STEADY_TIME)
            )

    @property
    def active(self) -> bool:
        """Whether sets are taken."""
        return self._worker is not None

    def accept_frame(self, frame: SensorFrame) -> None:
        """Take a set from a node of the same process; it must not be written to afterwards."""
        if self._privileged is not None:
            self._privileged.add(frame)
        else:
            self._offer(frame)

    def _offer(self, frame: SensorFrame) -> None:
        worker = self._worker
        if worker is not None:
            self._health.offered()
            worker.offer(frame)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model. FAILURE keeps the cause in the diagnostics."""
        settings = self._server.current
        request = ModelRequest(
            weights=Path(settings.weights) if settings.weights else None,
            device=settings.device,
            seed=settings.seed,
            partial_weights=settings.partial_weights,
            sampling=settings.diffusion_sampling,
            candidates=settings.diffusion_candidates,
            precision=settings.precision,
        )
        start = time.perf_counter()
        try:
            model = load_model(settings.model, request)
        except Exception as error:
            text = str(error) if isinstance(error, DistillDriveError) else f"{type(error).__name__}: {error}"
            self._diagnostics.set("model", Level.ERROR, f"model {settings.model} cannot be loaded: {text}")
            self.get_logger().error(f"model {settings.model} cannot be loaded: {text} (interpreter {sys.executable})")
            return TransitionCallbackReturn.FAILURE
        torch = sys.modules.get("torch")
        if torch is not None and settings.threads:
            torch.set_num_threads(settings.threads)
        self._session = ModelSession(model)
        self._make_publishers()
        # What lives now lives long: keep the garbage collector from walking over it while driving.
        gc.collect()
        gc.freeze()
        seconds = time.perf_counter() - start
        note = "ready" if model.trained else "ready, but its weights are UNTRAINED: the plans mean nothing"
        self._diagnostics.set(
            "model", Level.OK, note, model_id=model.model_id, device=model.device, trained=model.trained, load_s=seconds
        )
        self.get_logger().info(f"model {model.model_id} on {model.device}: {note} (loaded in {seconds:.1f} s)")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and listen."""
        self._health.start()
        self._counted = {"dropped": 0, "failed": 0, "resets": 0}
        if self._session is not None:
            self._session = ModelSession(self._session.model)
        self._reset_request.clear()
        self._worker = LatestWinsWorker(self._process)
        if self._session is not None and self._session.model.requirements.ground_truth:
            self._privileged = PrivilegedInput(self, self._diagnostics, self._inputs, self._offer)
        if not self._frames_by_reference:
            self._gate = ListenerGate(self, self._server.current.await_subscribers, self._outputs, self._listen)
        return super().on_activate(state)

    def _listen(self) -> None:
        self._subscription = self._inputs.listen(
            msg.SensorFrame, FRAME_TOPIC, self._on_frame, qos.reliable(2), subject="inference"
        )

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop listening, let the running set end."""
        self._stop_worker()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let the model and its memory go."""
        self._forget_model()
        self._diagnostics.set("model", Level.WARN, "not configured")
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and let everything go, from whatever state."""
        self._stop_worker()
        self._forget_model()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured after a transition that failed in an unknown way."""
        self._stop_worker()
        self._forget_model()
        self._diagnostics.set("model", Level.ERROR, "a lifecycle transition failed; see the log, then configure again")
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Stop the worker and the timers, before the node is destroyed."""
        self._stop_worker()
        self._diagnostics.stop()
        self._clock_watch.stop()
        # What is frozen is never collected: the DDS participant would stay, and with it 64 MB of shared memory that
        # outlive the process.
        gc.unfreeze()

    def start_now(self) -> None:
        """Configure and activate, once, where `autostart` is set."""
        if self._autostart_timer is None:
            return
        self.destroy_timer(self._autostart_timer)
        self._autostart_timer = None
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _make_publishers(self) -> None:
        for name, kind in (
            ("candidates", msg.TrajectoryCandidates),
            ("objects", msg.ObjectPredictions),
            ("map", msg.VectorMap),
            ("stats", msg.InferenceStats),
            ("bird_view", Image),
        ):
            self._outputs[name] = self.create_lifecycle_publisher(kind, f"~/{name}", qos.reliable(5))

    def _stop_worker(self) -> None:
        if self._gate is not None:
            self._gate.cancel()
            self._gate = None
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._privileged is not None:
            self._privileged.close()
            self._privileged = None
        worker, self._worker = self._worker, None
        if worker is not None and not worker.stop(WORKER_STOP_TIMEOUT_S):
            self.get_logger().error(f"inference did not end within {WORKER_STOP_TIMEOUT_S:.0f} s")
            self.exit_code = 1

    def _forget_model(self) -> None:
        for publisher in self._outputs.values():
            self.destroy_publisher(publisher)
        self._outputs = {}
        self._session = None
        self._diagnostics.clear("candidates")
        gc.unfreeze()
        gc.collect()
        release_device_memory()

    def _on_frame(self, message: msg.SensorFrame) -> None:
        self.accept_frame(sensor_frame_from_message(message))

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._reset_request.set()
        response.success = True
        response.message = "temporal state is dropped before the next set"
        return response

    def _process(self, frame: SensorFrame, accepted_at: float) -> None:
        """One set on the worker thread; never raises."""
        try:
            self._infer(frame, accepted_at)
        except ModelOutputError as error:
            self._health.failed(Level.ERROR, f"{error}; temporal state dropped")
        except DistillDriveError as error:
            self._health.failed(Level.WARN, str(error))
        except Exception as error:
            self._guard.report("inference", error)
            self._health.failed(Level.ERROR, f"{type(error).__name__}: {error}")
            self._after_crash(error)
        finally:
            self._count()

    def _after_crash(self, error: Exception) -> None:
        if type(error).__name__ == "OutOfMemoryError":
            release_device_memory()
        elif "CUDA error" in str(error):
            # Sticky: the context is lost, and nothing in this process can mend it. The launcher starts a new one.
            self.get_logger().fatal("the CUDA context is lost; this process ends")
            self.exit_code = 1

    def _count(self) -> None:
        session, worker = self._session, self._worker
        if session is not None and worker is not None:
            self._counted = {
                "dropped": worker.dropped,
                "failed": session.failed_frames,
                "resets": session.state_resets,
            }

    def _infer(self, frame: SensorFrame, accepted_at: float) -> None:
        session = self._session
        if session is None:
            return
        if self._reset_request.is_set():
            self._reset_request.clear()
            session.reset("service call")
        limit = self._server.current.max_frame_age_s
        age = self._age_s(frame.stamp_ns)
        if limit > 0 and age > limit:
            self._health.failed(Level.WARN, f"a set of {age:.2f} s age was passed over (max_frame_age_s {limit:.2f})")
            return
        if self._server.current.keep_period and not session.wants(frame):
            self._diagnostics.count("inference", "sets_within_period")
            return
        taken = time.perf_counter()
        output = session.run(frame)
        self._check_finite(session, output)
        stages = {"queue": taken - accepted_at, **output.stage_seconds}
        self._publish(frame, output, session, stages, accepted_at)

    def _check_finite(self, session: ModelSession, output: ModelOutput) -> None:
        """A NaN in a plan may be one in the state, too, which would poison every later set."""
        c = output.candidates
        finite = np.isfinite(c.x).all(axis=1) & np.isfinite(c.y).all(axis=1) & np.isfinite(c.score)
        if not finite.all():
            session.reset("candidates are not finite")
            bad = int((~finite).sum())
            level = Level.WARN if finite.any() else Level.ERROR
            self._diagnostics.event(
                "inference", level, f"{bad} of {len(finite)} candidates are not finite; temporal state dropped"
            )

    def _publish(
        self, frame: SensorFrame, output: ModelOutput, session: ModelSession, stages: dict[str, float], start: float
    ) -> None:
        ready = time.perf_counter()
        candidates = replace(output.candidates, inference_stamp_ns=self.get_clock().now().nanoseconds)
        self._outputs["candidates"].publish(candidates_to_message(candidates))
        self._outputs["objects"].publish(objects_to_message(output.objects))
        self._outputs["map"].publish(vector_map_to_message(output.vector_map))
        self._publish_for_people(output)
        end = time.perf_counter()
        stages["publish"] = end - ready
        self._count()
        self._health.succeeded(end - start, self._server.current.max_processing_time_s)
        stats = self._stats(frame, session.model, stages, end - start)
        self._outputs["stats"].publish(inference_stats_to_message(stats))

    def _publish_for_people(self, output: ModelOutput) -> None:
        """What some models tell beyond the plan: lines for the diagnostics, a picture where somebody looks."""
        if output.details:
            self._diagnostics.set("candidates", Level.OK, f"{len(output.details)} scored", **output.details)
        publisher = self._outputs["bird_view"]
        if output.bird_view is not None and publisher.get_subscription_count():
            publisher.publish(picture_message(output.bird_view, output.candidates.stamp_ns, output.candidates.frame_id))

    def _stats(self, frame: SensorFrame, model: DrivingModel, stages: dict[str, float], total: float) -> InferenceStats:
        return InferenceStats(
            stamp_ns=frame.stamp_ns,
            frame_id=frame.frame_id,
            model_id=model.model_id,
            device=model.device,
            stages=tuple(stages),
            stage_seconds=tuple(stages.values()),
            total_seconds=total,
            sensor_age_seconds=self._age_s(frame.stamp_ns),
            dropped_frames=self._counted["dropped"],
            failed_frames=self._counted["failed"],
            state_resets=self._counted["resets"],
            device_memory_bytes=device_memory_bytes(model.device),
        )

    def _age_s(self, stamp_ns: int) -> float:
        """Node clock minus stamp, NaN where the two have nothing to do with each other."""
        age = (self.get_clock().now().nanoseconds - stamp_ns) * 1e-9
        return age if abs(age) < CLOCKS_DIFFER_S else math.nan

    def _refresh(self) -> None:
        self._clock_watch.refresh()
        if self._privileged is not None:
            self._privileged.refresh()
        counted = self._counted
        self._health.refresh(self.active, self._server.current, counted["dropped"], counted["failed"])


def main(argv: Sequence[str] | None = None) -> int:
    """Program `perception_planning`."""
    return run_node(PerceptionPlanningNode, argv)


if __name__ == "__main__":
    sys.exit(main())
