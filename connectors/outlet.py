"""Between the flow and whoever is told: a bounded queue with a thread of its own.

A terminal, a pipe or a topic may take its time; the flow does not wait for them. While little room
is left sources that can wait do wait, so that nothing of theirs is left out; what live sources
give rise to beyond the bound is shed, oldest first, and counted.

Invariant: ``put`` returns at once; what is put is told in order, by one thread.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

MOST = 8_192
"""Records waiting (at most a few kB each)."""
HURRY_S = 3.0
_LOOK_S = 0.1

_log = logging.getLogger(__name__)


class Outlet:
    """Hands records to ``tell`` on a thread.

    Args:
        tell: may block; what it raises is logged and the record counts as told.
        most: records that may wait.
    """

    def __init__(self, tell: Callable[[object], None], most: int = MOST) -> None:
        self._tell = tell
        self._most = most
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self.shed = 0
        """Records that were left out because nobody took them."""
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)
        self._thread.start()

    @property
    def room(self) -> bool:
        """At least half of the queue is free."""
        return len(self._queue) <= self._most // 2

    def put(self, record: object) -> None:
        """Queue a record; returns at once."""
        with self._changed:
            if self._closed:
                self.shed += 1
                return
            self._queue.append(record)
            if len(self._queue) > self._most:
                self._queue.popleft()
                self.shed += 1
            self._changed.notify()

    def close(self, hurried: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything was told; may be called more than once.

        Args:
            hurried: asked while waiting: once true, at most ``HURRY_S`` more are waited.

        Returns:
            Whether everything was told; what was not is counted as shed.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        left = round(HURRY_S / _LOOK_S)
        while self._thread.is_alive() and left:
            self._thread.join(_LOOK_S)
            left -= hurried()
        if self._thread.is_alive():
            with self._changed:
                self.shed += len(self._queue) + 1
                self._queue.clear()
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if not self._queue:
                    return
                record = self._queue.popleft()
            try:
                self._tell(record)
            except Exception:
                _log.warning("a record could not be shown: %r", record, exc_info=True)
