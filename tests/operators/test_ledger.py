"""The ledger: what the closing summary says."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.ledger import Ledger, Usage
from operators.records import (
    ANALYSIS_RATE_HZ,
    BreakerTransition,
    Embedding,
    Failure,
    Occurrence,
    Pattern,
    Relation,
    SourceState,
    Verdict,
)
from operators.revision import Revision, settled

USAGE = Usage(elapsed_s=4.0, cpu_s=2.0, cores=2, rss_mb=300.04)


def embedding(index: int = 0) -> Embedding:
    return Embedding("s", index, index, 1.0, True, -20.0, "m-0-1", np.ones(1, np.float32))


def pattern(name: str, status: str) -> Pattern:
    return Pattern("s", name, "", 2, 0, 1, 0, 1, 0.5, status)  # type: ignore[arg-type]


def test_every_window_is_counted_where_it_is_cut_and_where_it_is_decided() -> None:
    ledger = Ledger()
    ledger.cut(3)
    ledger.note(embedding())
    ledger.note(Verdict("s", 1, 1, "m", "silent"))
    ledger.note(Verdict("s", 2, 2, "m", "dead", "breaker_open"))
    summary = ledger.summary(USAGE)
    assert summary["windows"] == 3
    decided = [summary[name] for name in ("stored", "silent", "gated", "shed", "dead")]
    assert decided == [1, 1, 0, 0, 1]
    assert summary["reasons"] == {"dead: breaker_open": 1}


def test_patterns_and_relations_are_counted_in_their_last_state() -> None:
    ledger = Ledger()
    for item in (
        pattern("a", "born"),
        pattern("a", "confirmed"),
        pattern("b", "born"),
        pattern("b", "merged"),
        Relation("s", "sequential", "a", "c", 5),
        Relation("s", "periodic", "a", "", 5),
        Relation("s", "periodic", "a", "", 5, withdrawn=True),
        Occurrence("s", "a", 0.0, 1.0, 0, 0.9, 1.2, backfilled=False),
    ):
        ledger.note(item)
    summary = ledger.summary(USAGE)
    assert (summary["patterns"], summary["relations"], summary["occurrences"]) == (1, 1, 1)


def test_occurrences_are_counted_as_they_stand() -> None:
    def heard(pattern: str, start_ns: int) -> Occurrence:
        return Occurrence("s", pattern, 0.0, 1.0, start_ns, 0.9, 1.2, backfilled=False)

    def revised(start_ns: int, pattern_from: str, pattern: str) -> Revision:
        return Revision("s", 0.0, start_ns, pattern_from, pattern, "hindsight", 900.0)

    ledger = Ledger()
    told = [
        *(heard("a", 1), heard("a", 2), heard("a", 3)),
        *(heard("b", 1), revised(1, "a", "b")),
        *(heard("a", 9), revised(9, "", "a")),
        revised(2, "a", ""),
    ]
    for item in told:
        ledger.note(item)
    assert ledger.summary(USAGE)["occurrences"] == ledger.occurrences == len(settled(told)) == 3
    assert ledger.matches == 5
    assert ledger.revisions == {"moved": 1, "added": 1, "withdrawn": 1}
    earlier = Ledger()
    earlier.note(revised(1, "a", ""))  # what an earlier process told is taken back
    assert earlier.occurrences == 0


def test_only_a_source_that_failed_counts_as_failed_and_only_once() -> None:
    ledger = Ledger()
    for fatal in (True, True, False):
        ledger.note(Failure("s", "source", "unreadable", "d", "r", 0.0, fatal_source=fatal))
    ledger.note(BreakerTransition("m", "closed", "open", 0.0))
    ledger.note(BreakerTransition("m", "open", "half_open", 0.0))
    ledger.heard(ANALYSIS_RATE_HZ * 2)
    summary = ledger.summary(USAGE)
    assert summary["sources_failed"] == 1
    assert summary["breaker_opens"] == 1
    assert summary["audio_s"] == 2.0
    assert summary["cpu_share"] == 0.25
    assert summary["rss_mb"] == 300.0


def test_a_window_that_the_store_refuses_is_dead_and_not_stored() -> None:
    ledger = Ledger()
    refused = Failure("s", "store", "window_rejected", "d", "r", 0.0)
    ledger.note(refused)  # of an earlier process: its summary has been printed
    ledger.cut(1)
    ledger.note(embedding())
    ledger.note(refused)
    summary = ledger.summary(USAGE)
    assert (summary["windows"], summary["stored"], summary["dead"]) == (1, 0, 1)
    assert summary["reasons"] == {"dead: rejected": 1}


def test_without_windows_there_is_no_latency() -> None:
    assert Ledger().summary(USAGE)["latency_ms"] == {"p50": None, "p95": None, "p99": None}


@given(st.lists(st.floats(1e-3, 900.0), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_latency_is_the_percentile_within_its_bin(seconds: list[float], share: float) -> None:
    ledger = Ledger()
    ledger.acknowledged(seconds)
    exact = float(np.sort(seconds)[max(int(np.ceil(share * len(seconds))) - 1, 0)])
    found = ledger.latency_ms(share)
    assert found is not None
    assert abs(found / 1_000 - exact) <= 0.03 * exact + 1e-4


def test_a_window_that_the_store_refuses_is_dead_and_counted_apart() -> None:
    ledger = Ledger()
    ledger.note(embedding())
    ledger.note(Failure("s", "store", "window_rejected", "no", "", 0.0))
    assert (ledger.verdicts["stored"], ledger.verdicts["dead"]) == (0, 1)
    assert (ledger.outcomes["stored"], ledger.rejected) == (1, 1)  # counters never fall
    ledger.note(Failure("s", "store", "window_rejected", "of an earlier process", "", 0.0))
    assert (ledger.verdicts["stored"], ledger.verdicts["dead"]) == (0, 1)


def test_what_was_left_out_is_told_by_stage_and_reason() -> None:
    ledger = Ledger()
    for stage, reason in (("source", "gap"), ("source", "gap"), ("patterns", "shed")):
        ledger.note(Failure("s", stage, reason, "", "", 0.0))
    ledger.note(Failure("s", "infer", "timeout", "", "", 0.0))
    ledger.note(Verdict("s", 1, 1, "m", "shed", "queue_full"))
    assert ledger.failures == {
        ("source", "gap"): 2,
        ("patterns", "shed"): 1,
        ("infer", "timeout"): 1,
    }
    assert ledger.dropped == {
        ("source", "gap"): 2,
        ("patterns", "shed"): 1,
        ("infer", "queue_full"): 1,
    }


def test_breakers_and_sources_are_known_by_their_latest_state() -> None:
    ledger = Ledger()
    for state in ("open", "half_open", "open"):
        ledger.note(BreakerTransition("clap", "closed", state, 1.0))
    ledger.note(SourceState("mic", "live"))
    ledger.note(SourceState("mic", "degraded", "gone"))
    assert ledger.transitions == {("clap", "open"): 2, ("clap", "half_open"): 1}
    assert ledger.breaker_opens == 2
    assert ledger.states == {"mic": "degraded"}
