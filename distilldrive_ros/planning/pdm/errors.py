"""What makes a scene or a candidate impossible to score."""

from __future__ import annotations

from distilldrive_ros.scene.errors import DistillDriveError


class ScoringError(DistillDriveError, ValueError):
    """A world or a candidate cannot be scored: wrong shape, not finite, too short; the message says what to do."""
