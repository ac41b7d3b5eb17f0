"""How a run is doing, read off its parts: for metrics when they are collected, and for the view.

Invariant: nothing is counted here, and nothing is kept: every figure is the run's own, asked when
somebody wants to know. Called from any thread; the flow never waits for it.
"""

from collections.abc import Callable, Mapping

from connectors import usage
from connectors.sources import Sources
from flows.station import Station
from operators import metering
from operators.breaker import STATES
from operators.ledger import REVISIONS, VERDICTS
from operators.metering import Metric, Readings
from operators.vitals import LaneVitals, SourceVitals, Vitals


class Watch:
    """Somebody to ask how a run is doing.

    Args:
        station: of the run.
        sources: that it listens to.
        meter: of what it costs.
    """

    def __init__(self, station: Station, sources: Sources, meter: usage.Meter) -> None:
        self._station = station
        self._sources = sources
        self._meter = meter

    def __call__(self) -> Vitals:
        """All figures of now."""
        ledger, cost = self._station.ledger, self._meter.usage()
        elapsed_s = max(cost.elapsed_s, 1e-9)
        return Vitals(
            sources=self._source_vitals(),
            lanes=self._lanes(),
            elapsed_s=cost.elapsed_s,
            audio_s=ledger.audio_s,
            windows=ledger.windows,
            outcomes=ledger.verdicts,
            occurrences=ledger.occurrences,
            patterns=ledger.patterns,
            relations=ledger.relations,
            waiting_regions=self._station.regions.outstanding,
            pending=self._station.store.pending,
            latency_p50_ms=ledger.latency_ms(0.5),
            latency_p95_ms=ledger.latency_ms(0.95),
            cpu_share=cost.cpu_s / elapsed_s / cost.cores,
            rss_mb=usage.rss_mb(),
        )

    def readings(self) -> Mapping[Metric, Callable[[], Readings]]:
        """What metrics ask when they are collected."""
        ledger = self._station.ledger
        return {
            metering.WINDOWS: self._windows,
            metering.AUDIO_HEARD: lambda: [(ledger.audio_s, {})],
            metering.AUDIO_DROPPED: lambda: _by_stage_and_reason(ledger.dropped),
            metering.FAILURES: lambda: _by_stage_and_reason(ledger.failures),
            metering.BREAKER_TRANSITIONS: lambda: [
                (count, {"model": model, "state": state})
                for (model, state), count in list(ledger.transitions.items())
            ],
            metering.BREAKER_REJECTED: lambda: [(ledger.reasons["dead: breaker_open"], {})],
            metering.BREAKER_STATE: self._breakers,
            metering.PATTERN_MATCHES: lambda: [(ledger.matches, {})],
            metering.REVISIONS: lambda: [
                (ledger.revisions[kind], {"kind": kind}) for kind in REVISIONS
            ],
            metering.PATTERNS: lambda: [(ledger.patterns, {})],
            metering.RELATIONS: lambda: [(ledger.relations, {})],
            metering.QUEUE_DEPTH: self._queues,
            metering.SOURCE_LAG: self._lag,
            metering.SOURCES: self._states,
            metering.CPU_TIME: lambda: [
                (seconds, {"cpu.mode": mode})
                for mode, seconds in zip(("user", "system"), usage.cpu_times_s(), strict=True)
            ],
            metering.MEMORY_USAGE: lambda: [(usage.rss_bytes(), {})],
            metering.GPU_MEMORY: lambda: [
                (value, {"gpu": gpu, "state": state})
                for gpu, used, free in usage.gpu_memory_bytes()
                for state, value in (("used", used), ("free", free))
            ],
        }

    def _source_vitals(self) -> tuple[SourceVitals, ...]:
        levels_db: dict[str, list[float]] = {}
        for stream, level_db in list(self._station.levels_db.items()):
            levels_db.setdefault(self._sources.owner_of(stream), []).append(level_db)
        states = self._station.ledger.states
        return tuple(
            SourceVitals(
                name=part.stream,
                state=states.get(part.stream),
                streams=len(levels_db.get(part.stream, ())),
                position_s=part.position_s,
                total_s=part.total_s,
                lag_s=part.lag_s,
                level_db=max(levels_db.get(part.stream, ()), default=None),
                done=part.done,
            )
            for part in self._sources.progress()
        )

    def _lanes(self) -> tuple[LaneVitals, ...]:
        return tuple(
            LaneVitals(lane.name, lane.serving, lane.rungs) for lane in list(self._station.lanes)
        )

    def _windows(self) -> Readings:
        # A counter never falls: what the store refused stays among what was handed to it.
        ledger = self._station.ledger
        more = {"dead": ledger.rejected}
        return [(ledger.outcomes[name] + more.get(name, 0), {"outcome": name}) for name in VERDICTS]

    def _breakers(self) -> Readings:
        return [
            (int(rung.breaker == state), {"model": rung.model, "state": state})
            for lane in self._lanes()
            for rung in lane.rungs
            for state in STATES
        ]

    def _queues(self) -> Readings:
        models = [
            (rung.waiting + rung.calling, {"queue": rung.model})
            for lane in self._lanes()
            for rung in lane.rungs
        ]
        return [
            *models,
            (self._station.regions.outstanding, {"queue": "patterns"}),
            (self._station.store.pending, {"queue": "spool"}),
        ]

    def _lag(self) -> Readings:
        lag_s = self._sources.lag_s
        return [] if lag_s is None else [(lag_s, {})]

    def _states(self) -> Readings:
        counts: dict[str, int] = {}
        for part in self._sources.progress():
            said = self._station.ledger.states.get(part.stream)
            state = "ended" if part.done else said or "live"
            counts[state] = counts.get(state, 0) + 1
        return [(count, {"state": state}) for state, count in sorted(counts.items())]


def _by_stage_and_reason(counts: Mapping[tuple[str, str], int]) -> Readings:
    return [
        (count, {"stage": stage, "reason": reason})
        for (stage, reason), count in list(counts.items())
    ]
