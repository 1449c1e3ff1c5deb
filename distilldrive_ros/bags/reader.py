"""Reading of rosbag2 bags (MCAP or SQLite) in time order, without deserialising.

Damaged files: `open_bag(path)` refuses them with an error that says how much could be read; `salvage=True` gives
that part of an MCAP file. A file that turns out to be damaged while it is read (nothing in its index tells) gives the
messages before the damage and then the error.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, cast

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import parse_qos
from rosbags.serde import SerdeError
from rosbags.typesys import TypesysError

from distilldrive_ros.bags.mcap_salvage import McapSalvage, SalvagedChannel
from distilldrive_ros.bags.qos import TopicQos, from_rosbags
from distilldrive_ros.bags.typestore import message_types, type_hash
from distilldrive_ros.scene.errors import BagError

# What rosbags lets through when bytes are damaged, besides its own ReaderError.
_DAMAGE = (ReaderError, OSError, struct.error, sqlite3.Error, ValueError, TypeError, KeyError, IndexError,
           AssertionError, EOFError, RuntimeError, MemoryError, OverflowError)  # fmt: skip


@dataclass(frozen=True)
class TopicInfo:
    """A recorded topic: what its publisher offered, how many messages there are, its message definition as text."""

    name: str
    type: str
    qos: TopicQos
    count: int
    definition: str
    type_hash: str


class BagMessage(NamedTuple):
    """One message as recorded: log time in nanoseconds and the serialised CDR (with its 4 bytes of encapsulation)."""

    topic: str
    type: str
    stamp_ns: int
    cdr: bytes


class BagReader:
    """An open bag. A context manager; `close` may be called twice.

    Attributes:
        path: the bag as given.
        topics: by name.
        start_ns: stamp of the first message; 0 in an empty bag.
        end_ns: stamp of the last message.
        custom_data: facts from the bag's metadata.
    """

    def __init__(self, path: Path | str, salvage: bool = False) -> None:
        """Open. See `open_bag`."""
        self.path = Path(path)
        self._reader: Reader | None = None
        self._salvage: McapSalvage | None = None
        self._storage = _storage_of(self.path)
        self.custom_data: dict[str, str] = {}
        try:
            self._reader = Reader(self._storage)
            self._reader.open()
        except _DAMAGE as error:
            self._reader = None
            self._open_damaged(error, salvage)
            return
        self.custom_data = dict(getattr(getattr(self._reader.storage, "metadata", None), "custom", None) or {})
        self.topics = {t: _topic_info(t, i.connections) for t, i in self._reader.topics.items()}
        empty = self._reader.message_count == 0
        self.start_ns = 0 if empty else self._reader.start_time
        self.end_ns = 0 if empty else self._reader.end_time - 1

    def _open_damaged(self, error: BaseException, salvage: bool) -> None:
        """Take stock of the readable front; keep it with `salvage`, else raise."""
        file = next(iter(_files_of(self.path, ".mcap")), None)
        if file is None:
            raise BagError(f"bag {self.path} cannot be read: {_said(error)}; copy or convert it again") from error
        found = McapSalvage(file)
        counts: dict[str, int] = {}
        start, end = 2**63 - 1, 0
        for channel, stamp_ns, _ in found.messages():
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            start, end = min(start, stamp_ns), max(end, stamp_ns)
        total = sum(counts.values())
        if not salvage or total == 0:
            span = f"{total} messages ({(end - start) / 1e9:.2f} s)" if total else "no message"
            remedy = "copy or convert it again" + (", or open the readable part with salvage" if total else "")
            raise BagError(f"{file} is damaged: {_said(error)}; {span} at its front can be read; {remedy}") from error
        self._salvage = found
        self.start_ns, self.end_ns = start, end
        self.topics = {
            c.topic: TopicInfo(c.topic, c.type, _salvaged_qos(c), counts.get(c.topic, 0), c.definition, "")
            for c in found.channels.values()
        }

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last message."""
        return (self.end_ns - self.start_ns) / 1e9

    def messages(self, start_offset_s: float = 0.0, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Messages in time order; messages of equal stamp in the order of writing.

        Args:
            start_offset_s: seconds after the first message of the bag; earlier ones are left out.
            topics: only these; all by default.

        Raises:
            BagError: no such topic (the message names those that are there), or the file is damaged at this place.
        """
        unknown = set(topics or ()) - set(self.topics)
        if unknown:
            known = ", ".join(sorted(self.topics)) or "none"
            raise BagError(f"{self.path} has no topic {', '.join(sorted(unknown))}; it has: {known}")
        start_ns = self.start_ns + round(start_offset_s * 1e9)
        return self._iterate(start_ns, None if topics is None else frozenset(topics))

    def _iterate(self, start_ns: int, topics: frozenset[str] | None) -> Iterator[BagMessage]:
        if topics is not None and not topics:
            return
        if self._salvage is not None:
            for channel, stamp_ns, cdr in self._salvage.messages():
                if stamp_ns >= start_ns and (topics is None or channel.topic in topics):
                    yield BagMessage(channel.topic, channel.type, stamp_ns, cdr)
            return
        if self._reader is None:
            raise BagError(f"bag {self.path} is closed; open it again")
        wanted = [c for c in self._reader.connections if topics is None or c.topic in topics]
        count, last_ns = 0, start_ns
        source = self._reader.messages(wanted, start=start_ns)
        while True:
            try:
                connection, stamp_ns, cdr = next(source)
            except StopIteration:
                return
            except _DAMAGE as error:
                raise BagError(
                    f"{self._storage} is damaged: {_said(error)}; {count} messages up to "
                    f"{(last_ns - self.start_ns) / 1e9:.2f} s were read; copy or convert it again"
                ) from error
            count, last_ns = count + 1, stamp_ns
            yield BagMessage(connection.topic, connection.msgtype, stamp_ns, cdr)

    def latched(self, start_offset_s: float = 0.0) -> list[BagMessage]:
        """What a late subscriber would get of the transient-local topics at that time, in time order.

        For each such topic: everything up to the start, the newest `depth` messages of it if the topic keeps a limited
        number (all for /tf_static, where each message may hold other transforms); where there is none so early, the
        first one after. `messages` gives those at or after the start again: publishing one twice does no harm.
        """
        names = [t.name for t in self.topics.values() if t.qos.transient_local and t.count]
        start_ns = self.start_ns + round(start_offset_s * 1e9)
        held: dict[str, list[BagMessage]] = {name: [] for name in names}
        for message in self.messages(0.0, names):
            before = held[message.topic]
            if message.stamp_ns <= start_ns or not before:
                before.append(message)
        for name, kept in held.items():
            qos = self.topics[name].qos
            if not name.endswith("/tf_static") and not qos.keep_all:
                del kept[: -qos.depth]
        return sorted((m for kept in held.values() for m in kept), key=lambda m: m.stamp_ns)

    def deserialize(self, message: BagMessage) -> object:
        """The message as an object of `message_types()`, with ROS field names and numpy arrays.

        Raises:
            BagError: unknown type, another definition than this package's, or damaged bytes.
        """
        store = message_types()
        if message.type not in store.fielddefs:
            raise BagError(f"topic {message.topic} of {self.path} has the unknown message type {message.type}")
        recorded = self.topics[message.topic].type_hash
        if recorded.startswith("RIHS01") and recorded != type_hash(message.type):
            raise BagError(
                f"topic {message.topic} of {self.path} was recorded with another definition of {message.type}; "
                "convert or record the bag again with this version"
            )
        try:
            return store.deserialize_cdr(message.cdr, message.type)
        except (SerdeError, TypesysError) as error:
            raise BagError(f"a message of {message.topic} in {self.path} is damaged: {error}") from error

    def close(self) -> None:
        """Close the files."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def __enter__(self) -> BagReader:
        """The open bag."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def open_bag(path: Path | str, salvage: bool = False) -> BagReader:
    """Open a bag: a folder with `metadata.yaml`, or one `.mcap` or `.db3` file.

    Args:
        path: the bag.
        salvage: of a damaged MCAP file, give the part that can be read instead of an error.

    Raises:
        BagError: nothing there, not a bag, or damaged; the message names the file and how much could be read.
    """
    return BagReader(path, salvage)


def _files_of(path: Path, suffix: str) -> list[Path]:
    return sorted(path.glob(f"*{suffix}")) if path.is_dir() else [p for p in [path] if p.suffix == suffix]


def _storage_of(path: Path) -> Path:
    """What rosbags is to open: the folder, or the only file of a folder whose recorder never wrote its metadata."""
    if not path.exists():
        raise BagError(f"there is no bag at {path}; make one with `distilldrive convert` or check the path")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        files = [*_files_of(path, ".mcap"), *_files_of(path, ".db3")]
        if len(files) != 1:
            raise BagError(f"{path} is not a bag: it has no metadata.yaml, and {len(files)} .mcap or .db3 files")
        return files[0]
    return path


def _topic_info(name: str, connections: list[Connection]) -> TopicInfo:
    profiles = [q for c in connections for q in cast(ConnectionExtRosbag2, c.ext).offered_qos_profiles]
    first = connections[0]
    return TopicInfo(
        name=name,
        type=first.msgtype,
        qos=from_rosbags(profiles, name),
        count=sum(c.msgcount for c in connections),
        definition=first.msgdef.data,
        type_hash=first.digest,
    )


def _salvaged_qos(channel: SalvagedChannel) -> TopicQos:
    """What the damaged file says, or what holds without any word."""
    try:
        return from_rosbags(parse_qos(channel.qos), channel.topic)
    except _DAMAGE:
        return from_rosbags([], channel.topic)


def _said(error: BaseException) -> str:
    """The cause without the final stop, which the sentence around it brings."""
    return str(error).rstrip(".") or type(error).__name__
