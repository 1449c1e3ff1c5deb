"""The one family of errors that a user sees as a single line: what is wrong and what to do about it."""

from __future__ import annotations


class DistillDriveError(Exception):
    """Base of all errors that the user can mend. The message names the cause and the remedy."""


class ConfigurationError(DistillDriveError, ValueError):
    """A parameter or configuration value is wrong; the message holds its name, its range and the remedy."""


class SensorDataError(DistillDriveError, ValueError):
    """A sensor message cannot be used: corrupt image, wrong encoding or size, missing fields."""


class DatasetError(DistillDriveError):
    """A data set root lacks a table or file, or a table contradicts itself; the message holds path and token."""


class BagError(DistillDriveError):
    """A bag cannot be read or written: truncated, wrong type, already there."""


class CheckpointError(DistillDriveError):
    """A weight file is missing, damaged, unsafe or belongs to another model."""


class ModelOutputError(DistillDriveError):
    """A model produced NaN or infinity: its temporal state must be dropped."""


class DeviceMemoryError(DistillDriveError):
    """The device has no memory left for a step; the model stays usable."""


class WorldError(DistillDriveError):
    """A driving world cannot be made, shown or run on: missing engine, impossible scenario, engine failure."""
