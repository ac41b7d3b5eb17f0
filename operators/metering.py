"""Metrics: every one that grym has, and thin helpers on the OpenTelemetry *API*.

Without an SDK nothing is recorded and nothing costs. What is counted anyway (windows, verdicts,
breakers, queues) is not counted a second time: those instruments are observable, and ask the
counts of the run when somebody collects. Only durations are recorded as they happen.

Invariant: no attribute names a stream, because there may be thousands of them; every metric that
is emitted stands in ``METRICS``, which the dashboard and the documentation are checked against.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final, Literal, TypeAlias

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation

from operators import tracing

SCOPE: Final = "grym"

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Labels: TypeAlias = Mapping[str, str]
Readings: TypeAlias = Iterable[tuple[float, Labels]]

_SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
_STAGE_EVERY_S: Final = 0.2
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One instrument.

    Attributes:
        name: as OpenTelemetry writes it.
        kind: counters and gauges are asked for; histograms are recorded.
        unit: UCUM; an annotation in braces is no unit, and "" where a number says it all.
        labels: names of its attributes.
        buckets: upper bounds, of a histogram.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


WINDOW_LATENCY: Final = Metric(
    "grym.window.latency",
    "histogram",
    "s",
    "From the delivery of the frame that completes a window to its acknowledged upsert",
    buckets=_SECONDS,
)
STAGE_DURATION: Final = Metric(
    "grym.stage.duration",
    "histogram",
    "s",
    "Time a step took over what it was given at once, of some calls (stage infer: every call)",
    ("stage", "model"),
    _SECONDS,
)
BATCH_SIZE: Final = Metric(
    "grym.batch.size", "histogram", "{window}", "Windows in a call of a model", ("model",), _SIZES
)
DB_DURATION: Final = Metric(
    "db.client.operation.duration",
    "histogram",
    "s",
    "Duration of a call of the store",
    ("db.system.name", "db.operation.name", "db.collection.name", "error.type"),
    _SECONDS,
)
WINDOWS: Final = Metric(
    "grym.windows",
    "counter",
    "{window}",
    "Windows by what became of them, once for each model asked for",
    ("outcome",),
)
AUDIO_HEARD: Final = Metric("grym.audio.heard", "counter", "s", "Audio that entered the flow")
AUDIO_DROPPED: Final = Metric(
    "grym.audio.dropped",
    "counter",
    "{drop}",
    "Audio that was left out: gaps, what cannot be read, what was shed",
    ("stage", "reason"),
)
FAILURES: Final = Metric(
    "grym.failures", "counter", "{failure}", "What could not be processed", ("stage", "reason")
)
BREAKER_TRANSITIONS: Final = Metric(
    "grym.breaker.transitions",
    "counter",
    "{transition}",
    "Changes of circuit breakers, by the state they went to",
    ("model", "state"),
)
BREAKER_REJECTED: Final = Metric(
    "grym.breaker.rejected",
    "counter",
    "{window}",
    "Windows that no model took because every breaker was open",
)
BREAKER_STATE: Final = Metric(
    "grym.breaker.state",
    "gauge",
    "",
    "1 for the state that a model's breaker is in, 0 for the others",
    ("model", "state"),
)
PATTERN_MATCHES: Final = Metric(
    "grym.pattern.matches",
    "counter",
    "{occurrence}",
    "Occurrences of patterns, those that were taken back later included",
)
REVISIONS: Final = Metric(
    "grym.revisions",
    "counter",
    "{revision}",
    "Occurrences that hindsight corrected: added, moved (in time or to another pattern), withdrawn",
    ("kind",),
)
PATTERNS: Final = Metric("grym.patterns", "gauge", "{pattern}", "Patterns found in this run")
RELATIONS: Final = Metric("grym.relations", "gauge", "{relation}", "Relations found in this run")
QUEUE_DEPTH: Final = Metric(
    "grym.queue.depth",
    "gauge",
    "{item}",
    "What waits: windows for a model (queue = its name), records for the store (spool)",
    ("queue",),
)
SOURCE_LAG: Final = Metric(
    "grym.source.lag", "gauge", "s", "Distance of the slowest source to the newest audio there is"
)
SOURCES: Final = Metric(
    "grym.sources", "gauge", "{source}", "Sources by the state they are in", ("state",)
)
CPU_TIME: Final = Metric(
    "process.cpu.time", "counter", "s", "CPU time of this process", ("cpu.mode",)
)
MEMORY_USAGE: Final = Metric(
    "process.memory.usage", "gauge", "By", "Resident memory of this process"
)
GPU_MEMORY: Final = Metric(
    "grym.gpu.memory", "gauge", "By", "Memory of a GPU, by who has it", ("gpu", "state")
)

METRICS: Final = (
    *(WINDOW_LATENCY, STAGE_DURATION, BATCH_SIZE, DB_DURATION),
    *(WINDOWS, AUDIO_HEARD, AUDIO_DROPPED, FAILURES),
    *(BREAKER_TRANSITIONS, BREAKER_REJECTED, BREAKER_STATE),
    *(PATTERN_MATCHES, REVISIONS, PATTERNS, RELATIONS),
    *(QUEUE_DEPTH, SOURCE_LAG, SOURCES),
    *(CPU_TIME, MEMORY_USAGE, GPU_MEMORY),
)


class _Bound:
    """The instruments of one provider."""

    def __init__(self, provider: MeterProvider) -> None:
        self.provider = provider
        meter = provider.get_meter(SCOPE)
        self.histograms: dict[str, Histogram] = {}
        for metric in METRICS:
            said = metric.name, [partial(_observe, metric)], metric.unit, metric.description
            if metric.kind == "histogram":
                self.histograms[metric.name] = meter.create_histogram(
                    metric.name,
                    metric.unit,
                    metric.description,
                    explicit_bucket_boundaries_advisory=metric.buckets,
                )
            elif metric.kind == "counter":
                meter.create_observable_counter(*said)
            else:
                meter.create_observable_gauge(*said)


_readings: Mapping[Metric, Callable[[], Readings]] = {}
_bound: _Bound | None = None
_binding = threading.Lock()


def _observe(metric: Metric, _: CallbackOptions) -> Iterable[Observation]:
    read = _readings.get(metric)
    return [] if read is None else [Observation(value, labels) for value, labels in read()]


def active() -> bool:
    """Whether an SDK for metrics was set up in this process.

    Instruments must not be made before: the API hands them on to the SDK, which then refuses
    others of the same name.
    """
    return not type(metrics.get_meter_provider()).__module__.startswith("opentelemetry.metrics.")


def _of_now() -> _Bound:
    """The instruments of the provider that is set now."""
    global _bound  # noqa: PLW0603 - as global as the provider that it follows
    provider = metrics.get_meter_provider()
    bound = _bound
    if bound is None or bound.provider is not provider:
        with _binding:  # threads of a run come here at the same moment
            if _bound is None or _bound.provider is not provider:
                _bound = _Bound(provider)
            bound = _bound
    return bound


def watch(readings: Mapping[Metric, Callable[[], Readings]]) -> None:
    """From here on, ask these when metrics are collected, and those of an earlier call no more.

    Args:
        readings: counters and gauges -> their values by label; called from a thread of the SDK.
    """
    global _readings  # noqa: PLW0603 - one run is watched at a time
    _readings = readings
    if active():
        _of_now()


def record(
    metric: Metric, value: float, labels: Labels | None = None, *, traceparent: str = ""
) -> None:
    """Record a value of a histogram.

    Args:
        metric: one of ``METRICS``.
        value: in its unit.
        labels: of the names that it has.
        traceparent: header of a span that shows where the value comes from, an exemplar if that
            span is kept. Else it is the current span.
    """
    if active():
        context = tracing.context_of(traceparent) if traceparent else None
        _of_now().histograms[metric.name].record(value, labels, context)


class Stage:
    """Times a step of the worker, all streams together, five times a second at most.

    It is called hundreds of times a second, and to record a value costs 7 us.

    Args:
        name: of the step.
        clock: seconds, monotonic.
    """

    def __init__(self, name: str, clock: Callable[[], float] = perf_counter) -> None:
        self.name = name
        self._labels = {"stage": name}
        self._clock = clock
        self._next_s = 0.0

    def __enter__(self) -> None:
        self._began_s = self._clock()

    def __exit__(self, *_raised: object) -> None:
        if self._began_s >= self._next_s:
            self._next_s = self._began_s + _STAGE_EVERY_S
            record(STAGE_DURATION, self._clock() - self._began_s, self._labels)
