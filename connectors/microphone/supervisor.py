"""One supervisor over all microphones of a process, on a thread of its own.

PortAudio sees a device that was plugged in again only after it was started anew, and that closes
every open stream: so whoever takes one microphone back has to open all. It is also the only
thread that calls PortAudio, which may wait seconds for a sound server; nobody waits with it.

Invariant: while another microphone is heard PortAudio is started anew only after a child process
could open the lost one; the others then lose the time it takes to open them, and say so. Nobody
waits for a device to be released but a process that ends, and that for a second at most.
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

    def remove(self, feed: Feed) -> None:
        """Have a device released soon; returns at once."""
        feed.leave()
        self.wake()

    def _release_all(self) -> None:
        """The process ends: wait for every device, a second at most, those being released too."""
        with self._turn:
            feeds = list(self._feeds)
        for feed in feeds:
            feed.leave()
        self.wake()
        deadline_s = time.monotonic() + CLOSE_S
        for feed in feeds:
            feed.closed.wait(max(0.0, deadline_s - time.monotonic()))

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
        self._let_go(leaving, last=not staying)
        for feed in staying:
            self._guarded(partial(self._look_after, feed), [feed])
        if self._probe is not None:
            self._guarded(partial(self._heed, self._probe, staying), self._probed)
        elif due := [feed for feed in staying if feed.due]:
            self._guarded(partial(self._take_back, staying, due), due)
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
            self._guarded(feed.release, [])
        if last:
            if self._probe is not None:
                self._guarded(self._probe.close, [])
                self._probe = None
            self._guarded(self._sound.stop, [])
        with self._turn:
            self._feeds = [feed for feed in self._feeds if feed not in leaving]
        for feed in leaving:
            feed.closed.set()

    def _take_back(self, feeds: list[Feed], due: list[Feed]) -> None:
        for feed in due:
            feed.release()  # the child could not open a device that we still hold
        if not any(feed.heard for feed in feeds):
            self._start_anew(feeds, due)
            return
        try:
            self._probe = Probe([(feed.target, feed.options.rate_hz) for feed in due])
            self._probed = due
        except OSError as error:  # this machine is out of processes, memory or descriptors
            for feed in due:
                feed.put_off(f"it cannot be looked for ({error.strerror or error})")

    def _heed(self, probe: Probe, feeds: list[Feed]) -> None:
        self._probe = None  # should this fail, it is not asked for ever
        answers = probe.answer()
        if answers is None:
            self._probe = probe
            return
        back = []
        for feed, obstacle in zip(self._probed, answers, strict=True):
            if obstacle:
                feed.put_off(obstacle)
            elif feed in feeds:
                back.append(feed)
        if back:
            self._start_anew(feeds, back)

    def _start_anew(self, feeds: list[Feed], back: list[Feed]) -> None:
        """Every step is about one microphone: what fails with it ends no other."""
        names = ", ".join(feed.source for feed in back)
        why = f"the sound system was started anew to take back {names}"
        opened = [feed for feed in feeds if feed.phase != "failed"]
        for feed in opened:
            self._guarded(partial(feed.interrupt, why), [feed])
        self._guarded(self._sound.stop, [])
        for feed in opened:
            self._guarded(partial(feed.reopen, self._sound), [feed])


SUPERVISOR = Supervisor()
"""Of this process. It starts no thread and loads no driver before the first microphone."""
