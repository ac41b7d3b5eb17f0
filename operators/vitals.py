"""How a run is doing at one moment, as plain records: for the live view and for metrics.

Invariant: whoever watches is given copies of figures and never holds up what is watched.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from operators.inference.rung import RungState
from operators.records import SourceCondition


@dataclass(frozen=True, slots=True)
class SourceVitals:
    """One source.

    Attributes:
        name: of the source (of a topic with many streams: of the topic).
        state: what was said of it last; None before anything was (a file says nothing).
        streams: how many are heard of it.
        position_s: audio delivered, all its streams together.
        total_s: length of all there is, where that is known.
        lag_s: distance to the newest audio there is, where that is known.
        level_db: of the latest window of its loudest stream, dBFS; None before the first.
        done: it was heard to its end.
    """

    name: str
    state: SourceCondition | None
    streams: int
    position_s: float
    total_s: float | None
    lag_s: float | None
    level_db: float | None
    done: bool


@dataclass(frozen=True, slots=True)
class LaneVitals:
    """One lane of models.

    Attributes:
        name: of the first model asked for.
        serving: the model that serves now; "" while no breaker is closed.
        rungs: each model's breaker, batch cap and queue, first choice first.
    """

    name: str
    serving: str
    rungs: tuple[RungState, ...]


@dataclass(frozen=True, slots=True)
class Vitals:
    """All of a run.

    Attributes:
        elapsed_s: since it began to listen.
        audio_s: audio that entered the flow.
        windows: cut so far, once for each model.
        outcomes: verdict -> windows: stored, silent, gated, shed, dead.
        waiting_regions: stretches of activity on their way through discovery.
        pending: records in the spool that are not stored yet.
        latency_p50_ms, latency_p95_ms: window complete to stored; None before the first.
        cpu_share: of all cores, since it began.
        rss_mb: resident memory now.
    """

    sources: tuple[SourceVitals, ...]
    lanes: tuple[LaneVitals, ...]
    elapsed_s: float
    audio_s: float
    windows: int
    outcomes: Mapping[str, int]
    occurrences: int
    patterns: int
    relations: int
    waiting_regions: int
    pending: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    cpu_share: float
    rss_mb: float
