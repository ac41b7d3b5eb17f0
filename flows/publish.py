"""``publish``: any sources onto a topic, for whoever listens to it elsewhere.

    sources -> chunks -> messages of 100 ms -> topic

A plain loop goes round the sources; a thread of the producer's own talks to the brokers. While
they are away, files wait and microphones keep what their own queue holds. A signal ends the
sources; what was read is then sent, with the end of each stream.

Invariant: every message is acknowledged, or counted and said; 16-bit audio arrives bit for bit.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal, TypeAlias

from connectors import otlp
from connectors.chunks import Clock, Speed
from connectors.events import Event
from connectors.kafka.address import Address
from connectors.kafka.address import parse as parse_address
from connectors.kafka.outbox import Destination
from connectors.kafka.publisher import Publisher
from connectors.sources import SourceSpec, open_source, parse_all
from flows.errors import UsageError
from flows.feeder import Feeder
from flows.inputs import kafka_options, options_of
from flows.pump import Publishing, Pump, View
from flows.settings import Settings
from flows.signals import stopping
from operators.records import Failure, SourceState

PublishCodec: TypeAlias = Literal["pcm_s16le", "flac"]

_ENDED_AT_ONCE = b"grym: ended at once; what was not acknowledged yet may be missing on the topic\n"


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What to publish, where, and how this once.

    Attributes:
        sources: as ``listen`` takes them.
        to: ``kafka://host:port[,host:port]/topic``.
        codec: of the messages.
        speed: of sources that could be read faster than they were recorded.
        partitions: of the topic, where it is created.
        start_ns: event time of sources that know none.
    """

    sources: Sequence[str]
    to: str
    codec: PublishCodec = "pcm_s16le"
    speed: Speed = "max"
    partitions: int = 1
    start_ns: int = 0


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """How it ended: the closing event, the exit status, and lines worth saying."""

    summary: Event
    exit_status: int
    notes: tuple[str, ...] = ()


def publish(
    settings: Settings,
    request: PublishRequest,
    view: View,
    stop: threading.Event,
    follow: Callable[[Publishing], None] = lambda _: None,
) -> PublishOutcome:
    """Publish every source to its end, or until ``stop``.

    Args:
        settings: how sources are read and brokers reached.
        request: what to publish.
        view: told of failures and states, and of each stream at the end.
        stop: once set, what was read is sent and nothing more is read.
        follow: called once with what can be asked for how far it is.

    Raises:
        UsageError, SourceError: what was asked for cannot be meant; nothing was opened.
        GrymError: the brokers will never take it.
    """
    specs = parse_all(request.sources)
    to = _address(request.to)
    _check_no_circle(specs, to)
    options = kafka_options(settings)
    said: deque[Failure | SourceState] = deque()
    lost: dict[str, int] = {}

    def lose(stream: str, why: str) -> None:
        lost[stream] = lost.get(stream, 0) + 1
        if lost[stream] == 1:
            said.append(_refused(stream, why))

    with ExitStack() as opened:
        opened.enter_context(stopping(stop, _ENDED_AT_ONCE))
        opened.callback(otlp.start(**settings.telemetry.model_dump()).close)
        publisher = Publisher(
            Destination(to.servers, to.topic, request.partitions, options),
            request.codec,
            lost=lose,
            state=said.append,
        )
        opened.callback(publisher.close, 0.0)
        progress = Publishing(publisher)
        feeders = _feeders(settings, request, specs, progress, said.append)
        for feeder in feeders:
            opened.callback(feeder.source.close)
        follow(progress)
        unacknowledged = Pump(feeders, publisher, said, view, stop).run()
    return _outcome(request, progress, feeders, view, lost, unacknowledged, stopped=stop.is_set())


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as error:
        raise UsageError(f"--to: {error}") from None


def _check_no_circle(specs: Sequence[SourceSpec], to: Address) -> None:
    for spec in specs:
        if spec.scheme == "kafka":
            read = parse_address(spec.target)
            if read.topic == to.topic and set(read.servers) & set(to.servers):
                raise UsageError(
                    f"source '{spec.target}' is the topic that is published to: it would never"
                    " end; name another with --to"
                )


def _feeders(
    settings: Settings,
    request: PublishRequest,
    specs: Sequence[SourceSpec],
    progress: Publishing,
    show: Callable[[Failure | SourceState], None],
) -> list[Feeder]:
    options = options_of(settings, start_ns=request.start_ns)
    owners: dict[str, str] = {}
    feeders = []
    for spec in specs:
        source = open_source(spec, options)
        feeders.append(
            Feeder(
                spec.name,
                source,
                progress.publisher.send,
                show,
                clips=True,
                clock=Clock(),
                sent=progress.sent,
                owners=owners,
                paced=request.speed == "realtime" and not source.live,
            )
        )
    return feeders


def _refused(stream: str, why: str) -> Failure:
    return Failure(
        stream,
        "publish",
        "refused",
        f"{stream}: a message was refused: {why}",
        "heard as a gap by who listens; use --codec flac, or raise max.message.bytes of the topic",
        0.0,
    )


def _outcome(
    request: PublishRequest,
    progress: Publishing,
    feeders: Sequence[Feeder],
    view: View,
    lost: dict[str, int],
    unacknowledged: int,
    *,
    stopped: bool,
) -> PublishOutcome:
    notes = []
    streams = {stream: sent for stream, sent in progress.sent.items() if sent.messages}
    for stream, sent in sorted(streams.items()):
        view.event(
            {
                "event": "published",
                "stream": stream,
                "messages": sent.messages,
                "acknowledged": progress.publisher.acknowledged(stream),
                "audio_s": round(sent.audio_s, 4),
                "clipped": sent.clipped,
            }
        )
        if sent.clipped:
            notes.append(
                f"{stream}: {sent.clipped} samples beyond full scale were cut off; lower its gain"
            )
    failed = sum(feeder.failed for feeder in feeders)
    if unacknowledged:
        notes.append(
            f"{unacknowledged} messages were not acknowledged by {request.to}; they may be missing"
            " there: publish again once the brokers answer"
        )
    status = 3 if failed or lost else 0
    summary: Event = {
        "event": "summary",
        "streams": len(streams),
        "messages": progress.messages,
        "acknowledged": progress.publisher.acknowledged(),
        "unacknowledged": unacknowledged,
        "refused": sum(lost.values()),
        "audio_s": round(progress.audio_s, 4),
        "elapsed_s": round(progress.elapsed_s, 3),
        "sources_failed": failed,
    }
    return PublishOutcome(summary, 1 if unacknowledged and not stopped else status, tuple(notes))
