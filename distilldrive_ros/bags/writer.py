"""Writing of rosbag2 MCAP bags: under a temporary name until complete, with offered QoS, metadata version 8."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.enums import CompressionMode

from distilldrive_ros.bags.bag_metadata import (
    METADATA_VERSION,
    TopicMetadata,
    information_text,
    metadata_text,
    qos_text,
)
from distilldrive_ros.bags.file_part import FilePart
from distilldrive_ros.bags.mcap_storage import Buffer, ScatterMcapWriter
from distilldrive_ros.bags.qos import DEFAULT_QOS, TopicQos
from distilldrive_ros.bags.typestore import message_types, type_hash
from distilldrive_ros.scene.errors import BagError


class BagWriter:
    """One bag, a folder with `metadata.yaml` and one `.mcap`, made as a context manager.

    Everything goes to a hidden folder beside the target; leaving the `with` block without an exception renames it, with
    an exception removes it. What a killed process leaves behind is removed by the next writer of the same bag.
    """

    def __init__(self, path: Path | str, force: bool = False) -> None:
        """Prepare; nothing is touched before `__enter__`.

        Args:
            path: folder of the bag.
            force: replace a bag that is there already; the old one stays until the new one is complete.
        """
        self.path = Path(path)
        self.force = force
        self._custom: dict[str, str] = {}
        self._side_files: dict[str, str] = {}
        self._connections: dict[str, Connection] = {}
        self._topics: dict[str, TopicMetadata] = {}
        self._counts: Counter[str] = Counter()

    def __enter__(self) -> BagWriter:
        """Open the temporary bag.

        Raises:
            BagError: the target exists, or its parent cannot be written to.
        """
        if self.path.exists() and not self.force:
            raise BagError(f"{self.path} exists already; use --force to replace it or choose another place")
        prefix = f".{self.path.name}.partial-"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self.path.parent, prefix)
            self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self.path.parent))
            self._lock = os.open(self._folder / "lock", os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            # The .mcap is named after its folder, so the folder inside already has the final name.
            self._bag = self._folder / self.path.name
            self._bag.mkdir()
            self._storage = ScatterMcapWriter(self._bag, CompressionMode.NONE)
        except OSError as error:
            raise BagError(f"cannot write a bag at {self.path}: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete and rename the bag, or remove it after an exception.

        Raises:
            BagError: the disk is full, or another process made the same bag meanwhile.
        """
        try:
            if kind is None:
                self._complete()
            else:
                self._storage.abort()
        except OSError as failure:
            raise BagError(f"cannot complete the bag {self.path}: {failure}") from failure
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)

    def _complete(self) -> None:
        empty = not self._counts
        start_ns = 0 if empty else self._storage.message_start_time
        end_ns = 0 if empty else self._storage.message_end_time
        topics = [replace(t, count=self._counts[t.name]) for t in self._topics.values()]
        information = information_text(f"{self.path.name}.mcap", topics, start_ns, end_ns, self._custom)
        self._storage.close(METADATA_VERSION, information)
        for name, content in {"metadata.yaml": metadata_text(information), **self._side_files}.items():
            (self._bag / name).write_text(content, encoding="utf-8")
        if self.path.exists():
            if not self.force:
                raise BagError(f"{self.path} was made by another process meanwhile; it was kept, the new one dropped")
            self.path.rename(self._folder / "replaced")
        self._bag.rename(self.path)

    def add_topic(self, topic: str, type: str, qos: TopicQos = DEFAULT_QOS) -> None:
        """Declare a topic before its first message.

        Args:
            topic: absolute name.
            type: for instance `sensor_msgs/msg/CompressedImage`.
            qos: what a publisher of this topic offers.

        Raises:
            BagError: the type is unknown, or the topic is already there.
        """
        if topic in self._connections:
            raise BagError(f"topic {topic} is declared twice in {self.path}")
        if type not in message_types().fielddefs:
            raise BagError(f"message type {type} of topic {topic} is unknown; add its definition to msg/")
        text, type_hash = _definition(type)
        connection = Connection(
            id=len(self._connections) + 1,
            topic=topic,
            msgtype=type,
            msgdef=MessageDefinition(MessageDefinitionFormat.MSG, text),
            digest=type_hash,
            msgcount=0,
            ext=ConnectionExtRosbag2(serialization_format="cdr", offered_qos_profiles=[]),
            owner=self,
        )
        if all(c.msgtype != type for c in self._connections.values()):
            self._storage.add_msgtype(connection)
        self._storage.add_connection(connection, qos_text(qos))
        self._connections[topic] = connection
        self._topics[topic] = TopicMetadata(topic, type, type_hash, qos, 0)

    def write(self, topic: str, message: object, stamp_ns: int) -> None:
        """Append one message.

        Args:
            topic: declared before.
            message: an object of `message_types().types[type]`, or its serialised CDR: one buffer, or a tuple of
                buffers and files that follow each other (an image's header and its file). They must not be changed
                afterwards.
            stamp_ns: log time, nanoseconds. Any order is readable; rising order reads fastest.

        Raises:
            BagError: the topic was not declared, or the disk is full.
        """
        connection = self._connections.get(topic)
        if connection is None:
            raise BagError(f"topic {topic} was not declared with add_topic in {self.path}")
        if isinstance(message, (bytes, bytearray, memoryview, tuple)):
            cdr: Buffer | tuple[Buffer | FilePart, ...] = message
        else:
            cdr = message_types().serialize_cdr(message, connection.msgtype)
        try:
            self._storage.write(connection, stamp_ns, cdr)
        except OSError as error:
            raise BagError(f"cannot write {topic} to {self.path}: {error}") from error
        self._counts[topic] += 1

    def reserve(self, size: int) -> memoryview:
        """Memory to read a file into, for the message that is written next: see `ScatterMcapWriter.reserve`."""
        return self._storage.reserve(size)

    def set_custom_data(self, key: str, value: str) -> None:
        """Remember a fact in the bag's metadata (`custom_data`)."""
        self._custom[key] = value

    def add_side_file(self, name: str, text: str) -> None:
        """Put a text file beside the `.mcap`, for instance `conversion.json`; it appears with the bag."""
        self._side_files[name] = text


@lru_cache(maxsize=256)
def _definition(type: str) -> tuple[str, str]:
    """Message definition as text, with those of its parts, and its RIHS01 hash."""
    store = message_types()
    return store.generate_msgdef(type, ros_version=2)[0], type_hash(type)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove temporary folders whose writer is gone: nobody holds their lock."""
    for folder in [f for f in parent.iterdir() if f.name.startswith(prefix)]:
        try:
            descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
        except FileNotFoundError:
            continue  # another process has just removed it
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            continue  # another process is writing this bag right now
        finally:
            os.close(descriptor)
