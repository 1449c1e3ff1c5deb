"""ROS's own Python packages where they are installed, our stand-ins where they are not (pip has none of them).

`from distilldrive_ros.nodes.compat import message_filters, tf2_ros, cv_bridge, tf_transformations`. The stand-ins in
`stand_ins/` have the same names and signatures for what the nodes use, and pass the same tests.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

# Package -> "ROS", or why the stand-in is used.
SOURCES: dict[str, str] = {}


def _probe_cv_bridge(module: Any) -> None:
    module.CvBridge()  # imports OpenCV and the compiled part, which fail with the wrong numpy


def _choose(name: str, probe: Any = None) -> ModuleType:
    try:
        module = importlib.import_module(name)
        if probe is not None:
            probe(module)
    except ImportError as error:
        SOURCES[name] = f"stand-in ({error})"
        return importlib.import_module(f"{__name__}.stand_ins.{name}")
    SOURCES[name] = "ROS"
    return module


# Any: either the real package, which has no type information, or a stand-in with the same signatures.
message_filters: Any = _choose("message_filters")
tf2_ros: Any = _choose("tf2_ros")
cv_bridge: Any = _choose("cv_bridge", _probe_cv_bridge)
tf_transformations: Any = _choose("tf_transformations")

__all__ = ["SOURCES", "cv_bridge", "message_filters", "tf2_ros", "tf_transformations"]
