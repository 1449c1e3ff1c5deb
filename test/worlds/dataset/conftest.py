"""The hand-made place for the tests of this folder."""

from __future__ import annotations

from types import ModuleType

import pytest

from distilldrive_ros.worlds.world import Place


@pytest.fixture(scope="session")
def place(hand_made: ModuleType) -> Place:
    """The place."""
    made: Place = hand_made.hand_made_place()
    return made
