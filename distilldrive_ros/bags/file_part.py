"""A file as a part of a message: the kernel moves its bytes into the bag, they never come into this process."""

from __future__ import annotations

import errno
import os
from io import FileIO

# File systems that cannot do it say so in one of these ways.
_NOT_HERE = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV})
_PIECE_BYTES = 2**20


class FilePart:
    """An open file whose `size` bytes belong to a message; whoever writes it closes it."""

    def __init__(self, file: FileIO, size: int) -> None:
        """Take over the file."""
        self._file, self._size = file, size

    def __len__(self) -> int:
        """Bytes."""
        return self._size

    def start(self, count: int) -> bytes:
        """Its first bytes."""
        return os.pread(self._file.fileno(), count, 0)

    def send(self, descriptor: int) -> None:
        """Append it to a file at that file's position, and close it.

        Raises:
            OSError: the disk is full, or the file has become shorter since it was opened.
        """
        source, sent = self._file.fileno(), 0
        with self._file:
            while sent < self._size:
                try:
                    count = os.sendfile(descriptor, source, sent, self._size - sent)
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise
                    count = os.write(descriptor, os.pread(source, min(_PIECE_BYTES, self._size - sent), sent))
                if not count:
                    raise OSError(errno.EIO, f"{self._file.name} became shorter while it was read; convert again")
                sent += count

    def close(self) -> None:
        """Give it up; may be called twice."""
        self._file.close()
