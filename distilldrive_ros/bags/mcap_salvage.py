"""What can still be read of an MCAP file that lacks its end: a recorder was killed, a disk was full, a copy broke off.

Reads from the front, needs no index and no footer, and stops at the first record that is not whole. Format: the
public MCAP specification, version 0 (opcode, 8 bytes of length, content; strings and maps with 4 bytes of length;
little endian).
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdDecompressor
else:
    from backports.zstd import ZstdDecompressor

MAGIC = b"\x89MCAP0\r\n"
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END, FOOTER = 0x03, 0x04, 0x05, 0x06, 0x0F, 0x02
_RECORD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")


@dataclass(frozen=True)
class SalvagedChannel:
    """A topic as the file declares it; `qos` is the YAML text of the offered profiles."""

    topic: str
    type: str
    definition: str
    qos: str


@dataclass
class McapSalvage:
    """The readable front of a damaged file. `channels` fills while `messages` runs."""

    path: Path
    channels: dict[int, SalvagedChannel] = field(default_factory=dict)
    _schemas: dict[int, tuple[str, str]] = field(default_factory=dict)

    def messages(self) -> Iterator[tuple[SalvagedChannel, int, bytes]]:
        """(channel, log time in ns, CDR) of every whole message: chunks in file order, each in time order within."""
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return
            for code, content in _records(file):
                if code == CHUNK:
                    inner = [m for c, r in _records(io.BytesIO(_unpack_chunk(content))) if (m := self._take(c, r))]
                    yield from sorted(inner, key=lambda m: m[1])
                elif code in (DATA_END, FOOTER):
                    return
                elif message := self._take(code, content):
                    yield message

    def _take(self, code: int, content: bytes) -> tuple[SalvagedChannel, int, bytes] | None:
        """Learn from a schema or channel record, or return a message."""
        if code == MESSAGE and len(content) >= _MESSAGE.size:
            channel_id, _, stamp_ns, _ = _MESSAGE.unpack_from(content)
            channel = self.channels.get(channel_id)
            return None if channel is None else (channel, stamp_ns, content[_MESSAGE.size :])
        try:
            if code == SCHEMA:
                self._take_schema(io.BytesIO(content))
            elif code == CHANNEL:
                self._take_channel(io.BytesIO(content))
        except (struct.error, UnicodeDecodeError):
            return None  # a damaged declaration: its messages cannot be told apart and are left out
        return None

    def _take_schema(self, stream: BinaryIO) -> None:
        (schema_id,) = struct.unpack("<H", stream.read(2))
        name, _, text = _text(stream), _text(stream), _text(stream)
        self._schemas[schema_id] = (name, text)

    def _take_channel(self, stream: BinaryIO) -> None:
        channel_id, schema_id = struct.unpack("<HH", stream.read(4))
        topic, _ = _text(stream), _text(stream)
        pairs = io.BytesIO(_sized(stream))
        facts = {}
        while pairs.tell() < len(pairs.getbuffer()):
            key = _text(pairs)
            facts[key] = _text(pairs)
        name, text = self._schemas.get(schema_id, ("", ""))
        self.channels[channel_id] = SalvagedChannel(topic, name, text, facts.get("offered_qos_profiles", ""))


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Records up to the first that is cut. A cut chunk is given with what is there of it: its messages may be whole."""
    while len(head := file.read(_RECORD.size)) == _RECORD.size:
        code, length = _RECORD.unpack(head)
        content = _read_up_to(file, length)
        if len(content) == length or code == CHUNK:
            yield code, content
        if len(content) < length:
            return


def _read_up_to(file: BinaryIO, length: int) -> bytes:
    """At most `length` bytes; a length that damage made absurd costs no memory beyond the rest of the file."""
    here = file.tell()
    rest = file.seek(0, io.SEEK_END) - here
    file.seek(here)
    return file.read(min(length, rest))


def _unpack_chunk(content: bytes) -> bytes:
    """The records of a chunk, as many as decompress; empty where not even its head is whole."""
    stream = io.BytesIO(content)
    head = stream.read(28)
    try:
        compression = _text(stream)
    except (struct.error, UnicodeDecodeError):
        return b""
    if len(head) < 28 or len(stream.read(8)) < 8:
        return b""
    data = stream.read()
    try:
        if compression == "zstd":
            return ZstdDecompressor().decompress(data)
        if compression == "lz4":
            return LZ4FrameDecompressor().decompress(data)
    except Exception:  # each codec has its own error class; a chunk that does not unpack is lost
        return b""
    return data if compression == "" else b""


def _sized(stream: BinaryIO) -> bytes:
    (length,) = struct.unpack("<I", stream.read(4))
    return stream.read(length)


def _text(stream: BinaryIO) -> str:
    return _sized(stream).decode()
