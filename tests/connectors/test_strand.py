"""One stream's chunks as frames: placed in time, cut anyhow, taken up again exactly."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chunks import Break, Chunk
from connectors.cut import Over
from connectors.resample import Span
from connectors.strand import Strand, mono
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats

S = ANALYSIS_RATE_HZ
ORIGIN_NS = 1_700_000_000_000_000_000
Out = list[Span | Failure | Over]


def sound(count: int, channels: int = 1) -> Floats:
    noise = np.random.default_rng(7).standard_normal((count, channels)) * 0.1
    return noise.astype(np.float32)


def chunk(
    samples: Floats,
    at_s: float = 0.0,
    *,
    rate_hz: int = 16_000,
    joined: bool = False,
    mark: int = 0,
) -> Chunk:
    start_ns = ORIGIN_NS + round(at_s * 1e9)
    return Chunk("s", rate_hz, samples, start_ns, joined, {"offset": mark})


def drain(strand: Strand) -> Out:
    out: Out = []
    while strand.cutter.ready(flush=True) is not None:
        out.append(strand.cutter.take())
    return out


def heard(*items: Chunk | Break | Failure, strand: Strand | None = None) -> Out:
    strand = strand or Strand("s", 4_410)
    for item in items:
        strand.take(item)
    strand.take(Break("s"))
    return drain(strand)


def runs(out: Out) -> list[tuple[int, int]]:
    """First and last position of contiguous stretches."""
    found: list[tuple[int, int]] = []
    for piece in out:
        if isinstance(piece, Span):
            end = piece.index + len(piece.samples)
            if found and found[-1][1] == piece.index:
                found[-1] = (found[-1][0], end)
            else:
                found.append((piece.index, end))
    return found


def joined(out: Out) -> Floats:
    return np.concatenate([piece.samples for piece in out if isinstance(piece, Span)])


def reasons(out: Out) -> list[str]:
    return [piece.reason for piece in out if isinstance(piece, Failure)]


def test_the_first_chunk_is_the_beginning_of_the_stream() -> None:
    strand = Strand("s", 4_410)
    out = heard(chunk(sound(16_000), 5.0), strand=strand)
    assert strand.origin_ns == ORIGIN_NS + 5_000_000_000
    assert runs(out) == [(0, S)]


def test_channels_are_averaged() -> None:
    samples = sound(1_000, 6)
    assert np.allclose(mono(samples), samples.mean(axis=1), atol=1e-7)
    assert mono(samples[:, :1]) is not None


def test_samples_are_counted_within_a_run_whatever_its_time_stamps_say() -> None:
    second = chunk(sound(16_000), 1.3, joined=True, mark=1)
    assert runs(heard(chunk(sound(16_000)), second)) == [(0, 2 * S)]


def test_what_does_not_join_lies_where_its_time_says() -> None:
    out = heard(chunk(sound(16_000)), chunk(sound(8_000), 3.0, mark=1))
    assert runs(out) == [(0, S), (3 * S, 3 * S + S // 2)]


def test_what_overlaps_is_trimmed_and_what_lies_behind_is_left_out_and_said_once() -> None:
    again = [
        chunk(sound(8_000), 0.0, mark=1),
        chunk(sound(4_000), 0.5, joined=True, mark=2),
        chunk(sound(8_000), 0.75, joined=True, mark=3),
    ]
    out = heard(chunk(sound(16_000)), *again)
    assert runs(out) == [(0, S + S // 4)]
    assert reasons(out) == ["late"]


def test_a_changed_rate_begins_a_new_run() -> None:
    out = heard(chunk(sound(16_000)), chunk(sound(48_000), 1.0, rate_hz=48_000, joined=True))
    assert runs(out) == [(0, 2 * S)]
    assert len(joined(out)) == 2 * S


def test_a_failure_without_a_place_is_placed_where_the_stream_is() -> None:
    failure = Failure("s", "source", "gap", "", "", math.nan)
    out = heard(chunk(sound(32_000)), failure)
    placed = next(piece for piece in out if isinstance(piece, Failure))
    assert placed.start_s == pytest.approx(2.0, abs=0.05)


def test_what_is_not_a_number_is_a_failure_in_its_place() -> None:
    samples = sound(16_000)
    samples[8_000] = np.nan
    out = heard(chunk(sound(16_000), mark=0), chunk(samples, joined=True, mark=1))
    failure = next(piece for piece in out if isinstance(piece, Failure))
    assert (failure.reason, failure.start_s) == ("nan", pytest.approx(1.5))


def test_a_stream_that_is_over_may_be_taken_up_again() -> None:
    out = heard(chunk(sound(1_600)), Break("s", over=True), chunk(sound(1_600), 60.0, mark=1))
    assert [type(piece).__name__ for piece in out] == ["Span", "Over", "Span"]
    assert runs(out)[1][0] == 60 * S


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        Strand("s", 4_410, {"version": 9})


CHANGES = st.sampled_from(["join", "join", "join", "gap", "late", "over", "rate", "fail"])


def script(changes: list[str], lengths: list[int], rate_hz: int) -> list[Chunk | Break | Failure]:
    """A stream as a source would give it; each chunk's mark is its number."""
    items: list[Chunk | Break | Failure] = []
    at_s, rate = 0.0, rate_hz
    everything = sound(sum(lengths) + 1)
    first = 0
    for number, (change, length) in enumerate(zip(changes, lengths, strict=True)):
        if change == "fail":
            items.append(Failure("s", "source", "length", "", "", math.nan))
        if change == "over":
            items.append(Break("s", {"offset": number}, over=True))
        rate = {16_000: 48_000, 48_000: 16_000}.get(rate, rate) if change == "rate" else rate
        at_s += {"gap": 0.7, "late": -0.4}.get(change, 0.0)
        samples = everything[first : first + length]
        first += length
        fresh = change != "join" or not number
        items.append(chunk(samples, at_s, rate_hz=rate, joined=not fresh, mark=number))
        at_s += length / rate
    return items


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CHANGES, st.integers(1, 40_000)), min_size=1, max_size=14),
    st.sampled_from([16_000, 44_100, 48_000]),
    st.data(),
)
def test_taken_up_anywhere_it_delivers_what_it_would_have_delivered(
    parts: list[tuple[str, int]], rate_hz: int, data: st.DataObject
) -> None:
    items = script([change for change, _ in parts], [length for _, length in parts], rate_hz)
    whole = heard(*items)

    at = data.draw(st.integers(0, len(items)))
    taken = data.draw(st.integers(0, 40))
    strand = Strand("s", 4_410)
    for item in items[:at]:
        strand.take(item)
    first: Out = []
    while len(first) < taken and strand.cutter.ready(flush=True) is not None:
        first.append(strand.cutter.take())
    state = json.loads(json.dumps(strand.snapshot()))
    nothing_yet = state["position"] == 0
    resumed = Strand("s", 4_410, state)
    # A stream without a mark is not read again (a topic goes on behind what was taken).
    unmarked = resumed.source_mark is None
    rest = items[at:] if unmarked else _from(items, resumed.source_mark)
    both = [*first, *heard(*rest, strand=resumed)]
    assert runs(both) == runs(whole)
    assert np.array_equal(joined(both), joined(whole)) if runs(whole) else True
    if unmarked or nothing_yet:  # what was said before any audio may be lost, never repeated
        assert reasons(whole)[len(reasons(whole)) - len(reasons(both)) :] == reasons(both)
        return
    assert reasons(both) == reasons(whole)
    assert sum(isinstance(p, Over) for p in both) == sum(isinstance(p, Over) for p in whole)


def _from(
    items: list[Chunk | Break | Failure], mark: dict[str, int] | None
) -> list[Chunk | Break | Failure]:
    """What a source repeats from a mark on: the end of a stream lies before the mark it has."""
    for number, item in enumerate(items):
        if not isinstance(item, Failure) and item.mark == mark:
            return items[number + isinstance(item, Break) :]
    return items
