"""Work beside the thread that waits for it, and no longer than it likes to.

Invariant: a thread that hangs keeps neither its caller nor the end of the process waiting: it is a
daemon, and its name says to ``flows.cli`` that it may be torn away.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")
_NAME = "grym-doctor"


def begin(work: Callable[[], Result]) -> "Future[Result]":
    """Start work in a thread of its own; ``result(timeout=s)`` of what is returned waits for it."""
    future: Future[Result] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=do, name=_NAME, daemon=True).start()
    return future
