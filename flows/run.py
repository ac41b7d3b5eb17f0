"""One run of ``listen``: open everything, let it flow, stop in order, say what came of it.

A signal sets a flag; sources then end, what is in flight drains, the last snapshot is written and
the store catches up. Invariant: whatever is refused is refused before the first frame is read.
"""

import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Protocol, TypeGuard

from bytewax.recovery import RecoveryConfig
from bytewax.testing import run_main

from connectors import otlp
from connectors.deadletters import DeadLetters
from connectors.events import Event
from connectors.sources import Sources, SourceSpec, parse_all
from connectors.store import Store
from flows import recovery
from flows.listen import listen
from flows.settings import Settings
from flows.station import Station, credit_for, limits_of, load_models
from operators.ledger import Ledger, Usage
from operators.records import Failure, Verdict

_log = logging.getLogger(__name__)

_ENDED_AT_ONCE = (
    b"grym: ended at once; what was not stored yet lies in the spool, and with --recovery "
    b"listening goes on from the last snapshot\n"
)
_SWITCH_INTERVAL_S = 2e-4
"""Of the interpreter: with the default of 5 ms a busy model thread delays the worker."""


class View(Protocol):
    """Who watches a run."""

    def __call__(self, item: object) -> None:
        """Take a record."""
        ...

    def event(self, event: Event) -> None:
        """Take an event that is no record."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What to listen to, and how this once."""

    sources: Sequence[str]
    recovery: Path | None = None
    start_ns: int = 0
    progress: Callable[[Sources], None] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the closing event, the exit status, and lines worth saying."""

    summary: Event
    exit_status: int
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Announcer:
    """Every record that leaves the flow: counted, kept where it failed, shown.

    Called by the worker and, for rows the store refused, by the writer: one at a time. Whatever
    goes wrong with showing ends the showing, not the listening.
    """

    ledger: Ledger
    view: View
    letters: DeadLetters | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, item: object) -> None:
        with self.lock:
            self.ledger.note(item)
            if self.letters is not None and _is_letter(item):
                self.letters.append(item)
            try:
                self.view(item)
            except Exception:
                _log.warning("a record could not be shown: %r", item, exc_info=True)

    def close(self) -> None:
        if self.letters is not None:
            self.letters.close()


def _is_letter(item: object) -> TypeGuard[Failure | Verdict]:
    return isinstance(item, Failure) or (isinstance(item, Verdict) and item.verdict == "dead")


def run(
    settings: Settings,
    request: Request,
    view: View,
    say: Callable[[str], None],
    stop: threading.Event,
) -> Outcome:
    """Listen to everything asked for until it ends or is stopped.

    Raises:
        GrymError and the one-line errors of connectors and models: nothing was listened to.
    """
    specs = parse_all(request.sources)
    limits_of(settings)
    with ExitStack() as opened:
        opened.enter_context(_signals(stop))
        models = load_models(settings, say)
        announce = _Announcer(Ledger(), view)
        opened.callback(announce.close)
        store = _store(settings, announce)
        opened.callback(store.close)
        announce.letters = DeadLetters(store.folder / "dead-letters.jsonl")
        opened.callback(otlp.start(**settings.telemetry.model_dump()).close)
        station = Station(
            settings, models, store, credit_for(settings), announce, announce.ledger, stop
        )
        opened.callback(station.close)
        opened.enter_context(station.stderr)
        kept = None
        if request.recovery is not None:
            streams = {spec.name: spec.target for spec in specs}
            kept = opened.enter_context(recovery.opened(request.recovery, settings, streams))
        return _flow(station, specs, request, kept)


def _flow(
    station: Station,
    specs: Sequence[SourceSpec],
    request: Request,
    kept: RecoveryConfig | None,
) -> Outcome:
    meter = _Meter()
    cut = station.settings.listen
    sources = Sources(
        specs,
        credit=station,
        speed=cut.speed,
        frame_ms=cut.frame_ms,
        start_ns=request.start_ns,
        stop=station.stop.is_set,
    )
    if request.progress is not None:
        request.progress(sources)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        run_main(
            listen(sources, station),
            epoch_interval=timedelta(seconds=cut.epoch_s),
            recovery_config=kept,
        )
    except Exception as error:
        raise station.trouble or error from None
    finally:
        sys.setswitchinterval(interval_s)
    stored = station.store.drain(station.settings.store.drain_s)
    return _outcome(station, sources, meter, stored=stored)


def _outcome(station: Station, sources: Sources, meter: "_Meter", *, stored: bool) -> Outcome:
    if station.trouble is not None:
        raise station.trouble
    notes = []
    if not stored:
        notes.append(
            f"the store did not take everything yet: {station.store.pending} records wait in "
            f"{station.store.folder} and are stored by the next run"
        )
    ledger = station.ledger
    heard = ledger.audio_s or ledger.failed_sources
    if not heard and all(part.done for part in sources.progress()):
        notes.append("nothing left to read: every source was heard to its end")
    return Outcome(ledger.summary(meter.usage()), 3 if ledger.failed_sources else 0, tuple(notes))


def _store(settings: Settings, announce: _Announcer) -> Store:
    return Store.open(
        settings.store.uri,
        token=settings.store.secret,
        max_spool_bytes=settings.store.spool_mb << 20,
        on_ack=lambda delivered_ns: announce.ledger.acknowledged(_since_s(delivered_ns)),
        on_failure=announce,
    )


def _since_s(delivered_ns: Sequence[int]) -> Iterator[float]:
    now_ns = time.time_ns()
    return ((now_ns - each) / 1e9 for each in delivered_ns)


class _Meter:
    """What this process has cost since the meter was made."""

    def __init__(self) -> None:
        self._wall_s = time.monotonic()
        self._cpu_s = time.process_time()

    def usage(self) -> Usage:
        """The cost so far; the peak of memory is that of the whole process."""
        return Usage(
            elapsed_s=time.monotonic() - self._wall_s,
            cpu_s=time.process_time() - self._cpu_s,
            cores=os.cpu_count() or 1,
            rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """While open, the first SIGINT or SIGTERM asks to stop; a second one ends the process.

    A handler can interrupt itself: what it decides by is a plain flag, raised before it takes the
    lock inside ``stop``, which a handler inside the handler would wait for without end.
    """
    asked = False

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            with suppress(OSError):
                os.write(2, _ENDED_AT_ONCE)
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
