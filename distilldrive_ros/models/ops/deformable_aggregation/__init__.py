"""Deformable feature aggregation: `deformable_aggregation(...)` and `backend_report()`."""

from distilldrive_ros.models.ops.deformable_aggregation.dispatch import (
    BackendReport,
    backend_report,
    deformable_aggregation,
)

__all__ = ["BackendReport", "backend_report", "deformable_aggregation"]
