"""What was heard, counted: the figures of the closing summary.

Invariant: ``windows`` is counted where windows are cut, the outcomes where they are decided; both
agree when nothing is in flight. Counts only: no clock, no device; what is measured is handed in.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np

from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    Occurrence,
    Outcome,
    Pattern,
    Relation,
    SourceCondition,
    SourceState,
    Verdict,
    to_s,
)
from operators.revision import Revision, RevisionKind

VERDICTS: tuple[Outcome, ...] = get_args(Outcome)
REVISIONS: tuple[RevisionKind, ...] = get_args(RevisionKind)
_GONE = frozenset({"merged", "retired"})
_LATENCY_FLOOR_S = 1e-4
_BINS_PER_DECADE = 115  # 2 % a bin
_LATENCY_BINS = 7 * _BINS_PER_DECADE  # 0.1 ms to 1,000 s


@dataclass(frozen=True, slots=True)
class Usage:
    """What this process cost: wall seconds, CPU seconds, cores, peak memory."""

    elapsed_s: float
    cpu_s: float
    cores: int
    rss_mb: float


class Ledger:
    """Counts of one run; fed by the flow, read at its end (and by whoever shows progress)."""

    def __init__(self) -> None:
        self.windows = 0
        self.audio_s = 0.0
        self.outcomes: Counter[str] = Counter()
        """Verdicts as they were given; these never fall."""
        self.reasons: Counter[str] = Counter()
        self.rejected = 0
        """Windows that went to the store, which refused them: dead after all."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """Stage and reason -> what could not be processed."""
        self.transitions: Counter[tuple[str, str]] = Counter()
        """Model and the state its breaker went to -> how often."""
        self.states: dict[str, SourceCondition] = {}
        """Source -> what was said of it last."""
        self.failed_sources: set[str] = set()
        self.matches = 0
        """Occurrences that were told, whatever became of them; this never falls."""
        self.revisions: Counter[RevisionKind] = Counter()
        """What hindsight did to them."""
        self._patterns: set[str] = set()
        self._relations: set[str] = set()
        self._latencies = np.zeros(_LATENCY_BINS, np.int64)
        self._lock = threading.Lock()

    def heard(self, samples: int) -> None:
        """Count audio that entered the flow."""
        self.audio_s += to_s(samples)

    def cut(self, count: int) -> None:
        """Count windows that were cut (or restored after a restart), once for each model."""
        self.windows += count

    def note(self, item: object) -> None:
        """Count what one record says."""
        match item:
            case Embedding():
                self.outcomes["stored"] += 1
            case Verdict(verdict=verdict, reason=reason):
                self.outcomes[verdict] += 1
                if reason:
                    self.reasons[f"{verdict}: {reason}"] += 1
            case Occurrence():
                self.matches += 1
            case Revision(kind=kind):
                self.revisions[kind] += 1
            case Pattern(key=key, status=status):
                (self._patterns.discard if status in _GONE else self._patterns.add)(key)
            case Relation(key=key, withdrawn=withdrawn):
                (self._relations.discard if withdrawn else self._relations.add)(key)
            case Failure():
                self._failed(item)
            case BreakerTransition(name=name, to_state=state):
                self.transitions[name, state] += 1
            case SourceState(stream=stream, state=state):
                self.states[stream] = state

    def _failed(self, failure: Failure) -> None:
        stage, reason = failure.stage, failure.reason
        self.failures[stage, reason] += 1
        if stage == "store" and reason == "window_rejected":
            # It was counted when it went to the spool, unless by an earlier process.
            if self.outcomes["stored"] > self.rejected:
                self.rejected += 1
                self.reasons["dead: rejected"] += 1
        elif _drops(stage, reason):
            self.reasons[f"{stage}: {reason}"] += 1
        if failure.fatal_source:
            self.failed_sources.add(failure.stream)

    @property
    def verdicts(self) -> dict[str, int]:
        """What became of the windows that were decided; each counts once."""
        refused = self.rejected
        counts: dict[str, int] = {name: self.outcomes[name] for name in VERDICTS}
        return {**counts, "stored": counts["stored"] - refused, "dead": counts["dead"] + refused}

    @property
    def occurrences(self) -> int:
        """Occurrences that stand; 0 where more were taken back, of an earlier run's, than told."""
        return max(0, self.matches - self.revisions["moved"] - self.revisions["withdrawn"])

    @property
    def patterns(self) -> int:
        """Patterns that are there."""
        return len(self._patterns)

    @property
    def relations(self) -> int:
        """Relations that hold."""
        return len(self._relations)

    @property
    def breaker_opens(self) -> int:
        """How often a breaker opened."""
        return sum(count for (_, state), count in list(self.transitions.items()) if state == "open")

    @property
    def dropped(self) -> dict[tuple[str, str], int]:
        """Stage and reason -> how often audio was left out."""
        lost = {key: count for key, count in list(self.failures.items()) if _drops(*key)}
        return {**lost, ("infer", "queue_full"): self.outcomes["shed"]}

    def acknowledged(self, latencies_s: Iterable[float]) -> None:
        """Latencies of windows whose upsert was acknowledged (called by the store's writer)."""
        seconds = np.maximum(np.fromiter(latencies_s, float), _LATENCY_FLOOR_S)
        bins = (np.log10(seconds / _LATENCY_FLOOR_S) * _BINS_PER_DECADE).astype(int)
        with self._lock:
            np.add.at(self._latencies, np.minimum(bins, _LATENCY_BINS - 1), 1)

    def latency_ms(self, share: float) -> float | None:
        """Latency that ``share`` of the acknowledged windows did not exceed (within 2 %)."""
        with self._lock:
            cumulated = np.cumsum(self._latencies)
        if not cumulated[-1]:
            return None
        bin_ = int(np.searchsorted(cumulated, share * cumulated[-1]))
        return round(1_000 * _LATENCY_FLOOR_S * float(10 ** ((bin_ + 0.5) / _BINS_PER_DECADE)), 1)

    def summary(self, usage: Usage) -> dict[str, object]:
        """The closing event of a run."""
        share = usage.cpu_s / usage.elapsed_s / usage.cores if usage.elapsed_s else 0.0
        return {
            "event": "summary",
            "audio_s": round(self.audio_s, 3),
            "elapsed_s": round(usage.elapsed_s, 3),
            "windows": self.windows,
            **self.verdicts,
            "occurrences": self.occurrences,
            "patterns": self.patterns,
            "relations": self.relations,
            "latency_ms": {
                "p50": self.latency_ms(0.5),
                "p95": self.latency_ms(0.95),
                "p99": self.latency_ms(0.99),
            },
            "cpu_share": round(share, 4),
            "rss_mb": round(usage.rss_mb, 1),
            "breaker_opens": self.breaker_opens,
            "sources_failed": len(self.failed_sources),
            "reasons": dict(sorted(self.reasons.items())),
        }


def _drops(stage: str, reason: str) -> bool:
    """Whether a failure says that audio was left out."""
    return stage == "source" or reason == "shed"
