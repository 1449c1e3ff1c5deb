"""MCAP writing without copies: images go from file to file within the kernel, all else from its buffer to the disk.

`rosbags` copies every message five times on its way into a chunk. Here a chunk is a list of buffers that is written in
one go, by a thread of its own while the next chunk is filled; all else (schemas, channels, indices, summary) stays with
`rosbags` 0.11.9, whose storage class this extends.
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag2.enums import CompressionMode
from rosbags.rosbag2.storage_mcap import McapWriter, PendingChunk

from distilldrive_ros.bags.file_part import FilePart

Buffer = bytes | bytearray | memoryview

# Large enough that a few images and a sweep share a chunk, small enough that a reader holds several.
CHUNK_BYTES = 4 * 2**20
# The last message of a chunk may go beyond; larger ones get memory of their own.
RESERVE_BYTES = 4 * 2**20
_NEVER = 2**63 - 1
# What one writev takes (IOV_MAX of Linux).
_MOST_BUFFERS = 1024
_MESSAGE = struct.Struct("<BQHIQQ")
_CHUNK = struct.Struct("<BQQQQIIQ")
_MESSAGE_INDEX = struct.Struct("<BQHI")
_CHUNK_INDEX = struct.Struct("<QQQQI")


class ScatterMcapWriter(McapWriter):
    """MCAP storage whose messages may be given as several buffers; uncompressed chunks."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        """Open the file in the bag's folder."""
        super().__init__(path, compression)
        self._parts: list[Buffer | FilePart] = []
        self._size = 0
        # One to fill while the other is written.
        self._memory, self._other_memory = (memoryview(bytearray(CHUNK_BYTES + RESERVE_BYTES)) for _ in range(2))
        self._reserved = 0
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="mcap")
        self._writing: Future[None] | None = None

    def reserve(self, size: int) -> memoryview:
        """Memory to fill and to give to `write` as a part of the very next message.

        It is used again for the chunk after next: fresh memory for every image costs more time than reading it does.
        """
        if self._reserved + size > len(self._memory):
            return memoryview(bytearray(size))
        self._reserved += size
        return self._memory[self._reserved - size : self._reserved]

    def write(self, connection: Connection, timestamp: int, data: Any) -> None:
        """Append a message.

        Args:
            connection: its topic.
            timestamp: log time, ns.
            data: CDR as one buffer, or a tuple of buffers and files that follow each other. They are kept until their
                chunk is written and must not change.

        Raises:
            OSError: the disk is full, or an earlier chunk could not be written.
        """
        parts: Sequence[Buffer | FilePart] = data if isinstance(data, tuple) else (data,)
        self._take_declarations()
        length = sum(len(p) for p in parts)
        self.message_start_time = min(timestamp, self.message_start_time)
        self.message_end_time = max(timestamp, self.message_end_time)
        self.channel_stats[connection.id] += 1
        chunk = self.chunk
        chunk.message_start_time = min(timestamp, chunk.message_start_time)
        chunk.message_end_time = max(timestamp, chunk.message_end_time)
        chunk.msgs[connection.id].append((timestamp, self._size))
        self._parts.append(_MESSAGE.pack(0x05, 22 + length, connection.id, 0, timestamp, timestamp))
        self._parts += parts
        self._size += _MESSAGE.size + length
        if self._size > CHUNK_BYTES:
            self.close_chunk()

    def _take_declarations(self) -> None:
        """Schemas and channels that rosbags wrote to the pending chunk take their place among the parts."""
        if self.chunk.bio.tell():
            text = self.chunk.bio.getvalue()
            self._parts.append(text)
            self._size += len(text)
            self.chunk.bio = BytesIO()

    def close_chunk(self) -> None:
        """Hand the pending chunk over to be written, once the one before is.

        Raises:
            OSError: the one before could not be written.
        """
        self._take_declarations()
        self._finish_writing()
        self._writing = self._disk.submit(self._write_chunk, self.chunk, self._parts, self._size)
        self.chunk = PendingChunk(_NEVER, 0, BytesIO(), defaultdict(list))
        self._parts, self._size, self._reserved = [], 0, 0
        self._memory, self._other_memory = self._other_memory, self._memory

    def _finish_writing(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write_chunk(self, chunk: PendingChunk, parts: Sequence[Buffer | FilePart], size: int) -> None:
        """Write a chunk and its message indices; remember the entry of the chunk index. On the disk's thread."""
        file = self.bio
        start, end = chunk.message_start_time, chunk.message_end_time
        chunk_start = file.tell()
        file.write(_CHUNK.pack(0x06, 40 + size, start, end, size, 0, 0, size))
        self._write_parts(parts)
        chunk_end = file.tell()

        offsets = []
        for channel, entries in chunk.msgs.items():
            offsets.append((channel, file.tell()))
            table = b"".join([struct.pack("<QQ", *entry) for entry in entries])
            file.write(_MESSAGE_INDEX.pack(0x07, 6 + len(table), channel, len(table)) + table)

        record = BytesIO()
        record.write(_CHUNK_INDEX.pack(start, end, chunk_start, chunk_end - chunk_start, 10 * len(offsets)))
        record.write(b"".join([struct.pack("<HQ", *offset) for offset in offsets]))
        record.write(struct.pack("<QIQQ", file.tell() - chunk_end, 0, size, size))
        self.chunks.append(record)

    def _write_parts(self, parts: Sequence[Buffer | FilePart]) -> None:
        """Hand buffers to the kernel many at once, and files whole: joining them first would copy every image."""
        self.bio.flush()
        descriptor = self.bio.fileno()
        buffers: list[Buffer] = []
        try:
            for part in parts:
                if isinstance(part, FilePart):
                    _write_buffers(descriptor, buffers)
                    buffers = []
                    part.send(descriptor)
                else:
                    buffers.append(part)
            _write_buffers(descriptor, buffers)
        finally:
            _close_files(parts)
        self.bio.seek(0, os.SEEK_END)

    def close(self, version: int, metadata: str) -> None:
        """Write what is pending, then the summary."""
        try:
            if self._parts or self.chunk.bio.tell():
                self.close_chunk()
            self._finish_writing()
        finally:
            self._disk.shutdown()
        super().close(version, metadata)

    def abort(self) -> None:
        """Give up: let the chunk that is being written end, then close the file as it is."""
        self._disk.shutdown()
        _close_files(self._parts)
        super().abort()


def _write_buffers(descriptor: int, buffers: Sequence[Buffer]) -> None:
    for first in range(0, len(buffers), _MOST_BUFFERS):
        some = buffers[first : first + _MOST_BUFFERS]
        rest = sum(len(b) for b in some) - os.writev(descriptor, some)
        if rest:  # a nearly full disk takes a part only; the next attempt says why
            joined = memoryview(b"".join(some))
            while rest:
                rest -= os.write(descriptor, joined[-rest:])


def _close_files(parts: Sequence[Buffer | FilePart]) -> None:
    for part in parts:
        if isinstance(part, FilePart):
            part.close()
