"""The records that travel between steps: frozen, slotted, picklable, and nothing else.

Positions are counted in samples at ``ANALYSIS_RATE_HZ`` from the start of the stream, so that
a result never depends on how the audio was cut into frames. Event time is derived: ``origin_ns``
(epoch nanoseconds of sample 0) plus the position. ``traceparent`` is the W3C header of the span
that produced the record ("" where nothing is traced): a string, because records are pickled.

Invariant: a record is never changed after it was built; arrays in it are read-only.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

ANALYSIS_RATE_HZ = 44_100
HOP_SAMPLES = 1_024
"""Samples between two spectral frames: 23.2 ms, the time grid of discovery."""
FRAME_S = HOP_SAMPLES / ANALYSIS_RATE_HZ
BANDS = 48

Floats: TypeAlias = NDArray[np.float32]
Gate: TypeAlias = Literal["open", "silent", "gated"]
Outcome: TypeAlias = Literal["stored", "silent", "gated", "shed", "dead"]
SourceCondition: TypeAlias = Literal["connecting", "live", "degraded", "lagging", "ended"]
PatternStatus: TypeAlias = Literal["born", "confirmed", "merged", "split", "retired"]
RelationKind: TypeAlias = Literal[
    "sequential", "overlapping", "composite", "periodic", "similar", "variant", "same", "absent"
]


def to_ns(origin_ns: int, sample: int) -> int:
    """Event time (epoch nanoseconds) of a sample position; exact in integers."""
    return origin_ns + sample * 1_000_000_000 // ANALYSIS_RATE_HZ


def to_s(sample: int) -> float:
    """Seconds from the start of the stream of a sample position."""
    return sample / ANALYSIS_RATE_HZ


def pattern_id(stream: str, onset_ns: int) -> str:
    """Id of a pattern: a short hash of the stream and its first occurrence as known at birth."""
    digest = hashlib.blake2b(f"{stream}|{onset_ns}".encode(), digest_size=5).hexdigest()
    return f"p{digest}"


@dataclass(frozen=True, slots=True)
class Frame:
    """Audio as a source delivers it.

    Attributes:
        stream: id of the stream.
        index: position in the stream of the first of ``samples``.
        samples: mono float32 at ``ANALYSIS_RATE_HZ``, nominally within [-1, 1]; may be empty.
        origin_ns: event time of position 0.
        last: nothing follows on this stream (in band, because end and shutdown look alike).
        delivered_ns: wall clock when the source handed it over (for latency only).
    """

    stream: str
    index: int
    samples: Floats
    origin_ns: int
    last: bool = False
    delivered_ns: int = 0
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of audio for the models, or the fact that it was not worth one.

    Attributes:
        index: position of the first sample; ``start_ns`` is its event time.
        samples: mono float32 at ``ANALYSIS_RATE_HZ``; empty unless ``gate`` is "open".
        onset: aligned on an onset rather than on the hop grid.
        rms_db: level of the whole window in dBFS.
        gate: "open" goes to the models; "silent" and "gated" are only counted.
        delivered_ns: of the frame that completed it.
        opened_ns: of the frame with its first sample; 0 where another process heard that.
    """

    stream: str
    index: int
    start_ns: int
    samples: Floats
    duration_s: float
    onset: bool
    rms_db: float
    gate: Gate
    delivered_ns: int = 0
    traceparent: str = ""
    opened_ns: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of activity for discovery: self-contained, at most 200 frames.

    Attributes:
        patch_db: (frames, BANDS) float32 band levels in dB, from spectral frame ``start_frame``.
        floor_db, deviation_db: (BANDS,) background level and its deviation when it opened.
        onsets: absolute spectral frames at which something starts, ascending.
        cut: the sound went on; the next region continues this one.
        delivered_ns: of the frame that completed it.
        linked: headers of further windows that overlap it, beside ``traceparent``.
    """

    stream: str
    start_frame: int
    patch_db: Floats
    floor_db: Floats
    deviation_db: Floats
    onsets: tuple[int, ...]
    origin_ns: int
    cut: bool = False
    traceparent: str = ""
    delivered_ns: int = 0
    linked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """Nothing follows on this stream: flush, drain, conclude. ``index`` = its length in samples."""

    stream: str
    index: int
    origin_ns: int


@dataclass(frozen=True, slots=True)
class Embedding:
    """A window's vector in one model's space ((dimension,) float32, finite)."""

    stream: str
    index: int
    start_ns: int
    duration_s: float
    onset: bool
    rms_db: float
    space: str
    vector: Floats
    delivered_ns: int = 0
    traceparent: str = ""

    @property
    def key(self) -> str:
        """Store key: the same audio under the same stream id lands on the same row."""
        return f"{self.stream}|{self.start_ns}|{self.space}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one window for one requested model: every window leaves exactly one."""

    stream: str
    index: int
    start_ns: int
    space: str
    verdict: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A pattern was heard. ``emitted_s`` = stream position of the decision."""

    stream: str
    pattern: str
    start_s: float
    end_s: float
    start_ns: int
    score: float
    emitted_s: float
    backfilled: bool
    traceparent: str = ""

    @property
    def key(self) -> str:
        """Store key: deterministic, so that replays are absorbed."""
        return f"{self.stream}|{self.start_ns}|{self.pattern}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """The present state of a recurring sound.

    Attributes:
        count: occurrences so far; absolute, so that upserts are idempotent.
        status: "born" (2 heard), "confirmed", "merged" (then ``into`` names the survivor), ...
        template: opaque bytes of its spectral template.
        salience: how much of what was heard it explains; decides what is forgotten first.
    """

    stream: str
    pattern: str
    name: str
    count: int
    first_s: float
    last_s: float
    first_ns: int
    last_ns: int
    duration_s: float
    status: PatternStatus
    into: str = ""
    template: bytes = b""
    salience: float = 0.0
    traceparent: str = ""

    @property
    def key(self) -> str:
        """Store key: the pattern id."""
        return self.pattern


@dataclass(frozen=True, slots=True)
class Novel:
    """A sound was heard for the first time so far."""

    stream: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Relation:
    """A typed relation between two patterns with its evidence; fields as printed.

    ``withdrawn`` says that what was reported before is no longer supported: the row goes.
    """

    stream: str
    kind: RelationKind
    source: str
    target: str
    support: int
    lag_s: float | None = None
    lag_sd_s: float | None = None
    period_s: float | None = None
    probability: float | None = None
    lift: float | None = None
    q: float | None = None
    first_s: float = 0.0
    last_s: float = 0.0
    indirect: bool = False
    withdrawn: bool = False
    traceparent: str = ""

    @property
    def key(self) -> str:
        """Store key: one row for each pair and kind."""
        return f"{self.source}|{self.kind}|{self.target}"


@dataclass(frozen=True, slots=True)
class Centroid:
    """The mean vector of a pattern's onset windows in one space; ``withdrawn``: the row goes."""

    stream: str
    pattern: str
    space: str
    vector: Floats
    count: int
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be processed: named, placed, with its remedy.

    Attributes:
        stage: the step that failed ("source", "segment", "infer", "patterns", "store", ...).
        reason: a short stable word ("unreadable", "nan", "truncated", "breaker_open", ...).
        detail: one line for a person: the thing and the value.
        remedy: one line: what to do.
        fatal_source: the source could not be opened or read to its end (it counts as failed).
    """

    stream: str
    stage: str
    reason: str
    detail: str
    remedy: str
    start_s: float
    fatal_source: bool = False
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing has changed, in a way that a person may want to know.

    Attributes:
        stream: name of the source (for a topic: of all its streams).
        state: "connecting" at the start, "live" (audio arrives, or would), "degraded" (away, being
            taken back), "lagging" (further behind than asked), "ended" (for the time being).
        detail: one line for a person: the thing, the value, and what is done about it.
        lag_s: how far behind the newest audio it is, where that is known.
    """

    stream: str
    state: SourceCondition
    detail: str = ""
    lag_s: float | None = None


@dataclass(frozen=True, slots=True)
class RungChange:
    """Another model serves for ``ladder``'s first, in its own space; "" where none is left."""

    ladder: str
    from_model: str
    to_model: str
    at_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerTransition:
    """A circuit breaker changed its state (states as resilience4j names them)."""

    name: str
    from_state: str
    to_state: str
    at_s: float
    reason: str = ""
    attributes: dict[str, float] = field(default_factory=dict)
