"""Failures on their way to the caller: held until it listens, and harmless if its ear is broken.

What is found while a store is being opened comes before the caller has made its log of dead
letters. So failures are held until the caller first uses the store.

Invariant: every failure is given to the callback exactly once, in the order told except around
the moment of opening; a callback that raises costs its own failure and nothing else. At most
``_MOST_HELD`` are held: whoever tells one more waits for the opening.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

from operators.records import Failure

_MOST_HELD = 1_024

_log = logging.getLogger(__name__)


class FailureGate:
    """Passes failures on once it is open. Thread-safe.

    Args:
        on_failure: the caller's.
    """

    def __init__(self, on_failure: Callable[[Failure], None]) -> None:
        self._on_failure = on_failure
        self._held: deque[Failure] = deque()
        self._changed = threading.Condition()
        self._open = False

    def __call__(self, failure: Failure) -> None:
        """Give a failure to the caller, now or as soon as it listens."""
        with self._changed:
            self._changed.wait_for(lambda: self._open or len(self._held) < _MOST_HELD)
            if not self._open:
                self._held.append(failure)
                return
        self._give(failure)

    def open(self) -> None:
        """The caller listens: give what was held, in the thread that calls."""
        if self._open:
            return
        with self._changed:
            self._open = True
            held, self._held = self._held, deque()
            self._changed.notify_all()
        for failure in held:
            self._give(failure)

    def _give(self, failure: Failure) -> None:
        try:
            self._on_failure(failure)
        except Exception:
            _log.warning("nobody could be told of %s", failure, exc_info=True)
