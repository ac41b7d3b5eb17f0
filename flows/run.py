"""One run of ``listen``: open everything, let it flow, stop in order, say what came of it.

A signal sets a flag; sources then end, what is in flight drains, the last snapshot is written and
the store catches up. Invariant: whatever is refused is refused before the first frame is read.
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from bytewax.recovery import RecoveryConfig
from bytewax.testing import run_main

from connectors import otlp
from connectors.chunks import ReadOptions, Share
from connectors.deadletters import DeadLetters
from connectors.events import Event
from connectors.kafka.events import EventTopic
from connectors.logs import Logged, View
from connectors.milvus.writer import Acknowledged
from connectors.sources import Sources, SourceSpec, check_divisible, parse_all, placed
from connectors.store import Store
from connectors.usage import Meter
from flows import recovery
from flows.announcing import Announcer, event_topic
from flows.describing import slow_lane
from flows.inputs import check_stdin, options_of
from flows.listen import listen
from flows.loading import load_describer, load_ladders, load_voice
from flows.settings import Settings
from flows.signals import stopping
from flows.station import Station, credit_for, limits_of
from flows.vitals import Watch
from operators import metering
from operators.ledger import Ledger
from operators.remarks import Description
from operators.vitals import Vitals

_ENDED_AT_ONCE = (
    b"grym: ended at once; what was not stored yet lies in the spool, and with --recovery "
    b"listening goes on from the last snapshot\n"
)
_SWITCH_INTERVAL_S = 2e-4
"""Of the interpreter: with the default of 5 ms a busy model thread delays the worker."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to listen to, and how this once.

    Attributes:
        progress: told of the sources once everything is open.
        watch: given, then, what to ask how the run is doing.
    """

    sources: Sequence[str]
    recovery: Path | None = None
    start_ns: int = 0
    share: Share = field(default_factory=Share)
    events_to: str | None = None
    windows: bool = False
    progress: Callable[[Sources], None] | None = None
    watch: Callable[[Callable[[], Vitals]], None] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the closing event, the exit status, and lines worth saying.

    ``told`` is False where whoever was shown events took no more: the closing one cannot be shown.
    """

    summary: Event
    exit_status: int
    notes: tuple[str, ...] = ()
    told: bool = True


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
    options = options_of(settings, start_ns=request.start_ns, share=request.share)
    check_divisible(specs, request.share)
    check_stdin(settings, [spec.scheme for spec in specs])
    limits_of(settings)
    plan = otlp.plan_of(**settings.telemetry.model_dump(), service_name="grym-flow")
    streams = {spec.name: placed(spec) for spec in specs}
    if request.recovery is not None:
        recovery.check(request.recovery, settings, streams, request.share)
    with ExitStack() as opened:
        opened.enter_context(stopping(stop, _ENDED_AT_ONCE))
        ladders = load_ladders(settings, say)
        voice, describer = load_voice(settings, say), load_describer(settings, say)
        if settings.log_format == "json":
            view = Logged(view)  # where logs are read by machines nobody reads the screen
        announce = Announcer(view, stop.is_set)
        opened.callback(announce.close)
        announce.tell_of(_event_topic(request, specs, options, announce))
        store = _store(settings, announce)
        opened.callback(store.close)
        announce.keep(DeadLetters(store.folder / "dead-letters.jsonl"))
        opened.callback(otlp.start(plan).close)
        station = Station(
            settings,
            ladders,
            store,
            credit_for(settings),
            announce,
            announce.ledger,
            stop,
            voice=voice,
            describing=slow_lane(settings, describer, voice, store.folder),
            takes=lambda: announce.room,
        )
        opened.callback(station.close)
        opened.enter_context(station.stderr)
        kept = opened.enter_context(_recovery(settings, request, streams))
        outcome = _flow(station, specs, options, request, kept)
        notes = (*outcome.notes, *announce.conclude(outcome.summary))
        status = outcome.exit_status or (3 if announce.lost else 0)
        return replace(outcome, exit_status=status, notes=notes, told=announce.told)


def _event_topic(
    request: Request, specs: Sequence[SourceSpec], options: ReadOptions, announce: Announcer
) -> EventTopic | None:
    heard = [spec.target for spec in specs if spec.scheme == "kafka"]
    return event_topic(
        request.events_to,
        options.own["kafka"],
        heard,
        windows=request.windows,
        state=announce.show,
    )


def _recovery(
    settings: Settings, request: Request, streams: Mapping[str, str]
) -> AbstractContextManager[RecoveryConfig | None]:
    if request.recovery is None:
        return nullcontext()
    return recovery.opened(request.recovery, settings, streams, request.share)


def _flow(
    station: Station,
    specs: Sequence[SourceSpec],
    options: ReadOptions,
    request: Request,
    kept: RecoveryConfig | None,
) -> Outcome:
    meter = Meter()
    sources = Sources(specs, credit=station, options=options, stop=station.stop.is_set)
    station.is_live = sources.is_live
    watch = Watch(station, sources, meter)
    metering.watch(watch.readings())
    if request.progress is not None:
        request.progress(sources)
    if request.watch is not None:
        request.watch(watch)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        run_main(
            listen(sources, station),
            epoch_interval=timedelta(seconds=station.settings.listen.epoch_s),
            recovery_config=kept,
        )
    except Exception as error:
        raise station.trouble or error from None
    finally:
        sys.setswitchinterval(interval_s)
    for remark in station.remarks():
        station.announce(remark)
        if isinstance(remark, Description):
            station.keep(remark)
    stored = station.store.drain(station.settings.store.drain_s)
    return _outcome(station, sources, meter, stored=stored)


def _outcome(station: Station, sources: Sources, meter: Meter, *, stored: bool) -> Outcome:
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


def _store(settings: Settings, announce: Announcer) -> Store:
    return Store.open(
        settings.store.uri,
        token=settings.store.secret,
        max_spool_bytes=settings.store.spool_mb << 20,
        on_ack=partial(_acknowledged, announce.ledger),
        on_failure=announce,
    )


def _acknowledged(ledger: Ledger, stored: Sequence[Acknowledged]) -> None:
    ledger.acknowledged(each.latency_s for each in stored)
    for each in stored:
        metering.record(metering.WINDOW_LATENCY, each.latency_s, traceparent=each.traceparent)
