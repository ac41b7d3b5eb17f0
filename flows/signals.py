"""SIGINT and SIGTERM: the first asks to stop, the second ends the process.

A handler can interrupt itself: what it decides by is a plain flag, raised before it takes the lock
inside ``stop``, which a handler inside the handler would wait for without end.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


@contextmanager
def stopping(stop: threading.Event, last_words: bytes) -> Iterator[None]:
    """While open, the first signal sets ``stop``; a second one says ``last_words`` and exits."""
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            with suppress(OSError):
                os.write(2, last_words)
            os._exit(130)
        asked = True
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, ask) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
