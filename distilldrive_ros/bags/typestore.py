"""Message types without ROS: the standard ones of `rosbags`, and this package's own from their `.msg` texts."""

from __future__ import annotations

from functools import lru_cache

from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from distilldrive_ros.environment.resources import PACKAGE, share_directory
from distilldrive_ros.scene.errors import BagError


@lru_cache(maxsize=1)
def message_types() -> Typestore:
    """Type store that knows every standard message of ROS 2 and `distilldrive_ros/msg/*`; made once per process.

    The standard definitions are those of Jazzy; the ones used here are the same from Humble to Rolling.

    Raises:
        BagError: a `.msg` file of this package cannot be parsed.
        ConfigurationError: the package's message files are not found.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for path in sorted((share_directory() / "msg").glob("*.msg")):
        try:
            types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"{PACKAGE}/msg/{path.stem}"))
        except (TypesysError, UnicodeDecodeError) as error:
            raise BagError(f"message definition {path} cannot be parsed: {error}; install the package again") from error
    store.register(types)
    return store


@lru_cache(maxsize=256)
def type_hash(type: str) -> str:
    """RIHS01 hash of a message type that `message_types` knows; worked out once, for it costs more than a message."""
    return message_types().hash_rihs01(type)
