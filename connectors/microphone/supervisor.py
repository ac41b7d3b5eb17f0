"""One supervisor over all microphones of a process, on a thread of its own.

PortAudio sees a device that was plugged in again only after it was started anew, and that closes
every open stream: so whoever takes one microphone back has to open all. It is also the only
thread that calls PortAudio, which may wait seconds for a sound server; nobody waits with it.

Invariant: while another microphone is heard PortAudio is started anew only after a child process
could open the lost one; the others then lose the time it takes to open them, and say so.
"""

import atexit
import threading
import time
from collections.abc import Callable
from functools import partial

from connectors.microphone.errors import SoundError
from connectors.microphone.feed import Feed
from connectors.microphone.portaudio import PortAudio
from connectors.microphone.probe import Probe

TICK_S = 0.2
CLOSE_S = 1.0


class Supervisor:
    """Opens, watches and takes back microphones from the first ``add`` to the last ``remove``."""

    def __init__(self) -> None:
        self._sound = PortAudio()
        self._turn = threading.Lock()
        self._woken = threading.Event()
        self._feeds: list[Feed] = []
        self._thread: threading.Thread | None = None
        self._probe: Probe | None = None
        self._probed: list[Feed] = []

    def wake(self) -> None:
        """Look at the microphones now."""
        self._woken.set()

    def add(self, feed: Feed) -> None:
        """Take a microphone into care; returns at once."""
        with self._turn:
            self._feeds.append(feed)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="microphone-supervisor", daemon=True
                )
                self._thread.start()
                atexit.register(self._release_all)
        self.wake()

    def remove(self, *feeds: Feed) -> None:
        """Release devices; waits a second at most, they may be released later."""
        for feed in feeds:
            feed.leaves = True
        self.wake()
        deadline_s = time.monotonic() + CLOSE_S
        for feed in feeds:
            feed.closed.wait(max(0.0, deadline_s - time.monotonic()))

    def _release_all(self) -> None:
        with self._turn:
            feeds = list(self._feeds)
        self.remove(*feeds)

    def _run(self) -> None:
        while self._tend():
            self._woken.wait(TICK_S)
            self._woken.clear()

    def _tend(self) -> bool:
        """One round; False once there is nothing left to tend."""
        with self._turn:
            feeds = list(self._feeds)
        staying = [feed for feed in feeds if not feed.leaves]
        leaving = [feed for feed in feeds if feed.leaves]
        self._guarded(partial(self._let_go, leaving, last=not staying), [])
        for feed in staying:
            self._guarded(partial(self._look_after, feed), [feed])
        self._guarded(partial(self._take_back, staying), staying)
        with self._turn:
            if self._feeds:
                return True
            self._thread = None
            atexit.unregister(self._release_all)
            return False

    def _guarded(self, step: Callable[[], None], feeds: list[Feed]) -> None:
        """A thread that dies tells nobody: whatever goes wrong ends only those it is about."""
        try:
            step()
        except Exception as error:
            said = " ".join(str(error).split()) or "no further word"
            unexpected = f"unexpected {type(error).__name__}: {said}"
            for feed in feeds:
                feed.fail(SoundError("error", unexpected, "report it with this line"))

    def _look_after(self, feed: Feed) -> None:
        if feed.phase == "new":
            feed.open(self._sound)
        feed.watch(self._sound)

    def _let_go(self, leaving: list[Feed], *, last: bool) -> None:
        for feed in leaving:
            feed.release()
        if last:
            if self._probe is not None:
                self._probe.close()
                self._probe = None
            self._sound.stop()
        with self._turn:
            self._feeds = [feed for feed in self._feeds if feed not in leaving]
        for feed in leaving:
            feed.closed.set()

    def _take_back(self, feeds: list[Feed]) -> None:
        if self._probe is not None:
            self._heed(self._probe, feeds)
            return
        due = [feed for feed in feeds if feed.due]
        if not due:
            return
        for feed in due:
            feed.release()  # the child could not open a device that we still hold
        if any(feed.heard for feed in feeds):
            self._probed = due
            self._probe = Probe([(feed.target, feed.options.rate_hz) for feed in due])
        else:
            self._start_anew(feeds, due)

    def _heed(self, probe: Probe, feeds: list[Feed]) -> None:
        answers = probe.answer()
        if answers is None:
            return
        self._probe = None
        back = []
        for feed, obstacle in zip(self._probed, answers, strict=True):
            if obstacle:
                feed.put_off(obstacle)
            elif not feed.leaves:
                back.append(feed)
        if back:
            self._start_anew(feeds, back)

    def _start_anew(self, feeds: list[Feed], back: list[Feed]) -> None:
        names = ", ".join(feed.source for feed in back)
        opened = [feed for feed in feeds if feed.phase != "failed"]
        for feed in opened:
            feed.interrupt(f"the sound system was started anew to take back {names}")
        self._sound.stop()
        for feed in opened:
            feed.reopen(self._sound)


SUPERVISOR = Supervisor()
"""Of this process. It starts no thread and loads no driver before the first microphone."""
