"""A thread that lists a folder again and again, and says what is new since it last said so.

Listing a large folder, or one on a network, takes long: it never happens on the caller's thread.
One look waits at most; until it is taken the folder is not listed again, so that nothing piles
up and nothing between two looks is missed. Listing takes a twentieth of one core at most, however
many files there are.

Invariant: the looks that were taken add up to what the folder held at the last of them.
"""

import os
import queue
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from connectors.chunks import Clock
from connectors.settle import Look, Stamp

LOOK_EVERY_S = 0.5
REST = 20
"""Times as long as the last listing took."""
NOTICE_S = 0.2
"""How soon a thread whose look is not taken notices that it was closed."""


class Lookout:
    """Lists ``folder`` from now on.

    Args:
        folder: the folder; deeper ones are not searched.
        wanted: whether a name is of interest.
        clock: dates the looks.
        known: what the first look is new against.
        every_s: seconds between two listings, at least.
    """

    def __init__(
        self,
        folder: Path,
        wanted: Callable[[str], bool],
        clock: Clock,
        known: dict[str, Stamp],
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._folder = folder
        self._wanted = wanted
        self._clock = clock
        self._known = known
        self._every_s = every_s
        self._looks: queue.Queue[Look | OSError] = queue.Queue(1)
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def take(self) -> Look | OSError | None:
        """The newest look, or why there cannot be one; None where nothing was looked at since."""
        try:
            return self._looks.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Let the thread end by itself, soon; may be called more than once."""
        self._closed.set()

    def _run(self) -> None:
        known = self._known
        while not self._closed.is_set():
            began_s = time.thread_time()
            began_ns, wall_ns = self._clock.steady_ns(), self._clock.wall_ns()
            try:
                there = listed(self._folder, self._wanted)
            except OSError as error:
                self._put(error)
            else:
                ended_ns = self._clock.steady_ns()
                seen = {name: stamp for name, stamp in there.items() if known.get(name) != stamp}
                gone = known.keys() - there.keys()
                self._put(Look(began_ns, ended_ns, wall_ns, seen, gone))
                known = there
            took_s = time.thread_time() - began_s
            self._closed.wait(max(self._every_s, REST * took_s))

    def _put(self, look: Look | OSError) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._looks.put(look, timeout=NOTICE_S)
                return


def listed(folder: Path, wanted: Callable[[str], bool]) -> dict[str, Stamp]:
    """The regular files of a folder whose names are wanted.

    Raises:
        OSError: the folder cannot be listed.
    """
    files = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if not wanted(entry.name):
                continue
            try:
                status = entry.stat()
            except OSError:  # gone since it was listed, or a link to nowhere
                continue
            if stat.S_ISREG(status.st_mode):
                files[entry.name] = Stamp(status.st_size, status.st_mtime_ns)
    return files
