"""Credit: how much more a replayable source may deliver before the models have caught up.

A source that can be replayed (a file, a topic) never sheds; it waits. Each window takes one credit
when it is cut and gives it back when its batch is done; a source asks ``available`` before it
reads on. Process-local and thread-safe: windows are cut on the worker thread and finished on an
executor's.

Invariant: taken - given back never drops below zero. It may exceed the limit: inputs restored from
a snapshot take their credit again whatever there is, and a frame that was already under way cuts
all its windows; then ``remaining`` is negative and sources wait until it is paid off.
It is not state: after a restart it begins afresh and the restored inputs take theirs.
"""

from threading import Lock


class Credit:
    """A counter of outstanding work with a limit.

    Args:
        limit: windows that may be outstanding before sources wait; at least 1. Twice the largest
            batch keeps a model busy without much latency.

    Raises:
        ValueError: the limit is below 1.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"credit: limit {limit} would stop every source; give at least 1")
        self.limit = limit
        self._outstanding = 0
        self._lock = Lock()

    def take(self, n: int = 1) -> None:
        """Count ``n`` more outstanding; never refuses and never waits.

        Raises:
            ValueError: ``n`` is negative.
        """
        if n < 0:
            raise ValueError(f"credit: take({n}); use give to return credit")
        with self._lock:
            self._outstanding += n

    def give(self, n: int = 1) -> None:
        """Return the credit of ``n`` that are done.

        Raises:
            ValueError: ``n`` is negative, or more than is outstanding: something was counted
                twice. Nothing is changed then.
        """
        with self._lock:
            if not 0 <= n <= self._outstanding:
                raise ValueError(
                    f"credit: give({n}) with {self._outstanding} outstanding; "
                    "each piece of work returns its credit once"
                )
            self._outstanding -= n

    @property
    def outstanding(self) -> int:
        """What was taken and not yet given back."""
        with self._lock:
            return self._outstanding

    @property
    def remaining(self) -> int:
        """What is left of the limit; negative when more is outstanding than the limit."""
        return self.limit - self.outstanding

    @property
    def available(self) -> bool:
        """A source may deliver more."""
        return self.remaining > 0
