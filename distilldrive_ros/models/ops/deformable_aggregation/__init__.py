"""Deformable feature aggregation: `deformable_aggregation(...)`, `load_kernels(device)` and `backend_report()`."""

from distilldrive_ros.models.ops.deformable_aggregation.dispatch import deformable_aggregation
from distilldrive_ros.models.ops.deformable_aggregation.loading import BackendReport, backend_report, load_kernels

__all__ = ["BackendReport", "backend_report", "deformable_aggregation", "load_kernels"]
