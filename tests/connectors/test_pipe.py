"""A descriptor read by a thread: every byte in order, held up when full, ended when closed."""

import os
import threading
from collections.abc import Callable

from connectors.pipe import READ_BYTES, READS, Pipe

Eventually = Callable[[Callable[[], object]], bool]


def reading() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "stdin"]


def test_every_byte_comes_in_order_and_then_the_end(eventually: Eventually) -> None:
    read, write = os.pipe()
    pipe, parts = Pipe(read), []
    assert pipe.take() is None
    for piece in (b"one", b"two", b"three"):
        os.write(write, piece)
    os.close(write)
    assert eventually(lambda: parts.append(pipe.take()) or parts[-1] == b"")
    assert b"".join(part for part in parts if part) == b"onetwothree"
    assert pipe.error is None
    assert eventually(lambda: not reading())
    os.close(read)


def test_what_is_not_taken_holds_up_whoever_writes(eventually: Eventually) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    pipe, sent = Pipe(read), 0

    def stuffed() -> bool:
        """Nothing goes in: the queue is full, and a read that waits for room, and the pipe."""
        nonlocal sent
        try:
            sent += os.write(write, bytes(READ_BYTES))
        except BlockingIOError:
            return sent >= READS * READ_BYTES
        return False

    assert eventually(stuffed)
    assert sent <= (READS + 2) * READ_BYTES
    pipe.close()
    assert eventually(lambda: not reading())
    os.close(read)
    os.close(write)


def test_why_reading_failed_is_kept(eventually: Eventually) -> None:
    folder = os.open("/", os.O_RDONLY)
    pipe = Pipe(folder)
    assert eventually(lambda: pipe.take() == b"")
    assert pipe.error is not None
    assert eventually(lambda: not reading())
    os.close(folder)
