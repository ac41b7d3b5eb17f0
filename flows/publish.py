"""``publish``: any sources onto a topic, for whoever listens to it elsewhere.

    sources -> chunks -> messages of 100 ms -> topic

A plain loop goes round the sources; a thread of the producer's own talks to the brokers. While
they are away, files wait and microphones keep what their own queue holds. A signal ends the
sources; what was read is then sent, with the end of each stream.

Invariant: every message is acknowledged, or counted and said; 16-bit audio arrives bit for bit.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from connectors import otlp
from connectors.chunks import Clock, Speed
from connectors.events import Event
from connectors.kafka.address import Address
from connectors.kafka.address import parse as parse_address
from connectors.kafka.outbox import Destination
from connectors.kafka.publisher import Publisher
from connectors.logs import View
from connectors.sources import SourceSpec, open_source, parse_all
from flows.errors import UsageError
from flows.feeder import Feeder
from flows.inputs import kafka_options, options_of
from flows.pump import Publishing, Pump
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
    to = _address(request.to, specs)
    destination = Destination(to.servers, to.topic, request.partitions, kafka_options(settings))
    # Nothing is measured here: metrics, and the address they are served at, are the listener's.
    asked = otlp.plan_of(**settings.telemetry.model_dump(), service_name="grym-publish")
    plan = replace(asked, metrics=frozenset(), prometheus=None)
    said: deque[Failure | SourceState] = deque()
    lost = _Lost(said)
    with ExitStack() as opened:
        opened.enter_context(stopping(stop, _ENDED_AT_ONCE))
        opened.callback(otlp.start(plan).close)
        publisher = Publisher(destination, request.codec, lost=lost, state=said.append)
        opened.callback(publisher.close, 0.0)
        progress = Publishing(publisher)
        feeders = _feeders(settings, request, specs, progress, said.append)
        for feeder in feeders:
            opened.callback(feeder.source.close)
        follow(progress)
        left = Pump(feeders, publisher, said, view, stop).run()
    failed = sum(feeder.failed for feeder in feeders)
    status = 1 if left else 3 if failed or lost.total else 0
    notes = [*_say_streams(progress, view), *_missing(left, request.to)]
    return PublishOutcome(_summary(progress, left, lost.total, failed), status, tuple(notes))


class _Lost:
    """Counts the messages that a broker refused, and says the first of each stream.

    Args:
        said: takes what is to be shown.
    """

    def __init__(self, said: deque[Failure | SourceState]) -> None:
        self._counts: Counter[str] = Counter()
        self._said = said

    def __call__(self, stream: str, why: str) -> None:
        """A message of a stream will never be acknowledged."""
        self._counts[stream] += 1
        if self._counts[stream] == 1:
            self._said.append(_refused(stream, why))

    @property
    def total(self) -> int:
        """Of all streams."""
        return self._counts.total()


def _address(text: str, specs: Sequence[SourceSpec]) -> Address:
    """The topic that is meant, which is none of the sources."""
    try:
        to = parse_address(text)
    except ValueError as error:
        raise UsageError(f"--to: {error}") from None
    for spec in specs:
        if spec.scheme == "kafka":
            read = parse_address(spec.target)
            if read.topic == to.topic and set(read.servers) & set(to.servers):
                raise UsageError(
                    f"source '{spec.target}' is the topic that is published to: it would never"
                    " end; name another with --to"
                )
    return to


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


def _say_streams(progress: Publishing, view: View) -> list[str]:
    """Show what was sent of each stream; lines worth saying."""
    notes = []
    for stream, sent in sorted(progress.sent.items()):
        if not sent.messages:
            continue
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
    return notes


def _missing(unacknowledged: int, to: str) -> list[str]:
    if not unacknowledged:
        return []
    return [
        f"{unacknowledged} messages were not acknowledged by {to}; they may be missing there:"
        " publish again once the brokers answer"
    ]


def _summary(progress: Publishing, unacknowledged: int, refused: int, failed: int) -> Event:
    return {
        "event": "summary",
        "streams": sum(sent.messages > 0 for sent in progress.sent.values()),
        "messages": progress.messages,
        "acknowledged": progress.publisher.acknowledged(),
        "unacknowledged": unacknowledged,
        "refused": refused,
        "audio_s": round(progress.audio_s, 4),
        "elapsed_s": round(progress.elapsed_s, 3),
        "sources_failed": failed,
    }
