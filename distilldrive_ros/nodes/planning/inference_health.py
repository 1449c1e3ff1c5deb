"""Diagnostics of inference and of the plans: counted in the worker, judged by the timer."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque

from distilldrive_ros.nodes.parameters.tables.perception_planning import PerceptionPlanningConfiguration
from distilldrive_ros.nodes.running.diagnostics import DiagnosticsPublisher, Level

WINDOW = 200


class InferenceHealth:
    """Subjects `inference` and `plan`. Thread-safe: the worker notes, the diagnostics timer refreshes."""

    def __init__(self, diagnostics: DiagnosticsPublisher) -> None:
        """Nothing has happened yet."""
        self._diagnostics = diagnostics
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        """Begin anew, at activation."""
        with self._lock:
            self._last_offer = self._last_plan = self._since = time.monotonic()
            self._plans = 0
            self._offers = 0
            self._totals: deque[float] = deque(maxlen=WINDOW)
            self._delays = 0
            self._failures = 0
            self._last_failure = ""

    def offered(self) -> None:
        """A set has come."""
        with self._lock:
            self._offers += 1
            self._last_offer = time.monotonic()

    def succeeded(self, total_s: float, limit_s: float) -> None:
        """A plan went out, so long after its set was taken."""
        with self._lock:
            self._plans += 1
            self._last_plan = time.monotonic()
            self._totals.append(total_s)
            self._failures = 0
            self._delays = self._delays + 1 if total_s > limit_s else 0
        if total_s > limit_s:
            self._diagnostics.event(
                "inference", Level.WARN, f"a set took {total_s:.3f} s, more than max_processing_time_s {limit_s:.3f}"
            )

    def failed(self, level: Level, message: str) -> None:
        """A set gave no plan."""
        with self._lock:
            self._failures += 1
            self._last_failure = message
        self._diagnostics.event("inference", level, message)

    def refresh(self, active: bool, settings: PerceptionPlanningConfiguration, dropped: int, failed: int) -> None:
        """Bring both subjects up to date."""
        with self._lock:
            totals = sorted(self._totals)
            delays, failures, last_failure = self._delays, self._failures, self._last_failure
            plans, offers = self._plans, self._offers
            now = time.monotonic()
            set_age, plan_age, active_for = now - self._last_offer, now - self._last_plan, now - self._since
        values = {f"total_p{p}_s": _percentile(totals, p) for p in (50, 95, 99)}
        level, message = _inference_state(active, settings, delays, failures, last_failure)
        self._diagnostics.set("inference", level, message, plans=plans, dropped=dropped, failed=failed, **values)
        level, message = _plan_state(active, settings.plan_timeout_s, offers, plans, set_age, plan_age, active_for)
        self._diagnostics.set("plan", level, message, plans=plans)


def _inference_state(
    active: bool, settings: PerceptionPlanningConfiguration, delays: int, failures: int, last_failure: str
) -> tuple[Level, str]:
    if failures >= settings.max_consecutive_failures:
        return Level.ERROR, f"the last {failures} sets failed: {last_failure}"
    if delays >= settings.max_consecutive_delays:
        return Level.ERROR, f"the last {delays} sets took too long; use a smaller model or a faster device"
    return Level.OK, "running" if active else "not active"


def _plan_state(
    active: bool, timeout_s: float, offers: int, plans: int, set_age: float, plan_age: float, active_for: float
) -> tuple[Level, str]:
    if not active:
        return Level.OK, "not active"
    if offers == 0:
        level = Level.STALE if active_for > timeout_s else Level.WARN
        return level, "no set received yet"
    if set_age > timeout_s:
        return Level.STALE, f"no set for {set_age:.1f} s (limit {timeout_s:.1f} s)"
    if plan_age > timeout_s:
        return Level.ERROR, f"sets come, but no plan for {plan_age:.1f} s (limit {timeout_s:.1f} s)"
    return (Level.OK, "plans are published") if plans else (Level.WARN, "no plan yet")


def _percentile(ordered: list[float], percent: int) -> float:
    """Nearest-rank percentile, NaN for nothing."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def device_memory_bytes(device: str) -> int:
    """Peak memory on the device, 0 on the CPU."""
    torch = sys.modules.get("torch")
    return int(torch.cuda.max_memory_allocated(device)) if torch is not None and device.startswith("cuda") else 0


def release_device_memory() -> None:
    """Give cached device memory back."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
