"""A thread that reads a file descriptor as fast as what it read is taken, and no faster.

When its queue is full the thread stops reading, and the pipe itself holds up whoever writes.

Invariant: every byte is handed over, in order, until the end or ``close``; taking never blocks.
It does not know what the bytes mean, and leaves the descriptor open.
"""

import os
import queue
import select
import threading
from contextlib import suppress

READ_BYTES = 65_536
"""What Linux holds in a pipe."""
READS = 16
"""Reads that may wait in the queue: a megabyte at most."""
NOTICE_S = 0.2
"""How soon the thread notices that it was closed."""


class Pipe:
    """Reads ``fd`` from now on.

    Attributes:
        error: why reading ended, where that was not the end of what was written.
    """

    def __init__(self, fd: int) -> None:
        self.error: OSError | None = None
        self._fd = fd
        self._queue: queue.Queue[bytes] = queue.Queue(READS)
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    def take(self) -> bytes | None:
        """What was read next; b"" at the end; None where nothing is there yet."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Let the thread end by itself, soon; may be called more than once."""
        self._closed.set()

    def _run(self) -> None:
        readable = select.poll()
        readable.register(self._fd, select.POLLIN)
        raw = None
        while raw != b"" and not self._closed.is_set():
            try:
                if not readable.poll(NOTICE_S * 1000):
                    continue
                raw = os.read(self._fd, READ_BYTES)
            except OSError as error:
                self.error, raw = error, b""
            self._put(raw)

    def _put(self, raw: bytes) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._queue.put(raw, timeout=NOTICE_S)
                return
