from collections.abc import Iterable
from itertools import count

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from connectors.chunks import Break, Chunk
from connectors.kafka.recut import Recut
from connectors.kafka.wire import AudioMessage


def chunk(
    samples: Iterable[float],
    start_ns: int = 0,
    *,
    joined: bool = True,
    rate: int = 4_000,
    **more: str,
) -> Chunk:
    found = np.array(list(samples), np.float32).reshape(-1, 1)
    return Chunk("mic", rate, found, start_ns, joined, **more)


def recut() -> Recut:
    clock = count(1_000)
    return Recut("mic", lambda: next(clock))


def places(messages: list[AudioMessage]) -> list[tuple[str, int, int, int]]:
    return [(each.epoch, each.seq, each.ts_ns, len(each.samples)) for each in messages]


@given(st.lists(st.integers(0, 1_700), min_size=1, max_size=12))
def test_messages_do_not_depend_on_how_the_audio_was_cut(lengths: list[int]) -> None:
    cutter, at, found = recut(), 0, []
    for length in lengths:
        found += cutter.feed(chunk(range(at, at + length), 77, joined=at > 0 or bool(found)))
        at += length
    found += cutter.leave(Break("mic"))
    whole = np.concatenate([each.samples for each in found]) if found else np.empty((0, 1))
    assert np.array_equal(whole[:, 0], np.arange(at))
    assert [len(each.samples) for each in found[:-1]] == [400] * (len(found) - 1)
    assert [each.seq for each in found] == list(range(len(found)))
    assert [each.ts_ns for each in found] == [77 + n * 100_000_000 for n in range(len(found))]


def test_time_is_counted_in_samples_where_a_tenth_of_a_second_is_no_whole_number() -> None:
    cutter = recut()
    found = list(cutter.feed(chunk(range(11_025), 5, joined=False, rate=11_025)))
    assert len(found) == 10
    assert [each.ts_ns for each in found] == [5 + n * 1_102 * 10**9 // 11_025 for n in range(10)]


def test_what_does_not_go_on_is_a_new_epoch() -> None:
    cutter = recut()
    found = [*cutter.feed(chunk(range(500), joined=False))]
    found += cutter.feed(chunk(range(400), 9_000_000_000, joined=False))
    assert places(found) == [
        ("1000", 0, 0, 400),
        ("1000", 1, 100_000_000, 100),
        ("1001", 0, 9_000_000_000, 400),
    ]


def test_a_gap_keeps_the_epoch_and_leaves_a_number_out() -> None:
    cutter = recut()
    cutter.gap()
    found = [*cutter.feed(chunk(range(400), joined=False))]
    cutter.gap()
    found += cutter.feed(chunk(range(400), 5_000_000_000, joined=False))
    found += cutter.feed(chunk(range(400), 9_000_000_000, joined=False))
    assert places(found) == [
        ("1000", 0, 0, 400),
        ("1000", 2, 5_000_000_000, 400),
        ("1001", 0, 9_000_000_000, 400),
    ]


def test_another_rate_goes_on_in_time_and_number() -> None:
    cutter = recut()
    found = [*cutter.feed(chunk(range(500), joined=False))]
    found += cutter.feed(chunk(range(800), rate=8_000))
    assert places(found) == [
        ("1000", 0, 0, 400),
        ("1000", 1, 100_000_000, 100),
        ("1000", 2, 125_000_000, 800),
    ]
    assert found[-1].rate_hz == 8_000


def test_a_break_sends_the_rest_and_only_the_end_says_so_once() -> None:
    cutter = recut()
    assert list(cutter.leave(Break("mic", over=True))) == []
    found = [*cutter.feed(chunk(range(100), joined=False)), *cutter.leave(Break("mic"))]
    found += [*cutter.leave(Break("mic", over=True)), *cutter.leave(Break("mic", over=True))]
    assert places(found) == [("1000", 0, 0, 100), ("1000", 1, 25_000_000, 0)]
    assert [each.end for each in found] == [False, True]
    assert next(cutter.feed(chunk(range(400), 10**9, joined=False))).epoch == "1001"


def test_the_trace_of_a_chunk_is_handed_on() -> None:
    (handed,) = recut().feed(chunk(range(400), traceparent="00-a"))
    assert handed.traceparent == "00-a"
