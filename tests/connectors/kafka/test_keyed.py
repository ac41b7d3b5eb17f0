"""One key: two that send under it, clocks that jump or drift, and what a resume remembers."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.chunks import Break, Chunk, RawItem
from connectors.kafka.keyed import CLOCK_NS, KeyedStream
from connectors.kafka.recut import Recut
from connectors.kafka.wire import AudioMessage
from operators.records import Failure

RATE_HZ = 16_000
STEP_NS = 100_000_000
START_NS = 1_700_000_000_000_000_000


def sent(seq: int, ts_ns: int | None = None, epoch: str = "e", channels: int = 1) -> AudioMessage:
    at_ns = START_NS + seq * STEP_NS if ts_ns is None else ts_ns
    sound = np.zeros((RATE_HZ // 10, channels), np.float32)
    return AudioMessage("s", RATE_HZ, sound, seq, at_ns, epoch)


def heard(
    messages: list[AudioMessage], stream: KeyedStream | None = None, first: int = 0
) -> list[RawItem]:
    stream = stream if stream is not None else KeyedStream("s", 0, "mean", {})
    items: list[RawItem] = []
    for offset, message in enumerate(messages, first):
        if offset >= stream.since:
            stream.take(message, offset, 0, items)
    return items


def failures(items: list[RawItem]) -> list[Failure]:
    return [item for item in items if isinstance(item, Failure)]


def chunks(items: list[RawItem]) -> list[Chunk]:
    return [item for item in items if isinstance(item, Chunk)]


def told(items: list[RawItem], begin: Chunk | None = None) -> list:
    """What was said and which chunks came, from one chunk on; whether that joins is not told."""
    places = [at for at, item in enumerate(items) if item is begin]
    rest = items[places[0] if places else 0 :]
    return [
        (item.mark, item.joined and at > 0) if isinstance(item, Chunk) else item.detail
        for at, item in enumerate(rest)
    ]


def resumed(mark: dict, name: str = "s") -> KeyedStream:
    return KeyedStream("s", 0, "mean", {name: json.loads(json.dumps(mark))})


def test_a_clock_that_jumps_places_the_chunk_anew_and_is_said() -> None:
    hour_ns = 3_600_000_000_000
    late = [sent(seq, START_NS + seq * STEP_NS + hour_ns) for seq in range(5, 10)]
    items = heard([*(sent(seq) for seq in range(5)), *late])
    (failure,) = failures(items)
    assert (failure.stream, failure.reason) == ("s", "clock")
    assert "3600.000 s after the end of its samples (seq 5)" in failure.detail
    assert "clock" in failure.remedy
    assert np.isnan(failure.start_s)
    assert [chunk.joined for chunk in chunks(items)] == [False, *[True] * 4, False, *[True] * 4]
    assert items[items.index(failure) + 1].start_ns == START_NS + 5 * STEP_NS + hour_ns


def test_a_clock_that_is_set_back_is_said_with_what_becomes_of_the_audio() -> None:
    items = heard([sent(0), sent(1), sent(2, START_NS - STEP_NS * 10)])
    (failure,) = failures(items)
    assert "1.200 s before the end" in failure.detail
    assert "left out" in failure.remedy


def test_a_clock_that_drifts_is_placed_anew_every_half_second() -> None:
    slow = [sent(seq, START_NS + seq * (STEP_NS + 1_000_000)) for seq in range(2_000)]
    items = heard(slow)
    found = failures(items)
    assert [failure.reason for failure in found] == ["clock"] * 3
    assert sum(not chunk.joined for chunk in chunks(items)) == 4
    ends = [chunk for chunk in chunks(items) if not chunk.joined]
    assert [chunk.mark["counted"] for chunk in ends] == [0] * 4


@given(st.lists(st.integers(-CLOCK_NS, CLOCK_NS), max_size=40))
def test_jitter_never_breaks_a_run(jitter: list[int]) -> None:
    times = [START_NS, *(START_NS + at * STEP_NS + off for at, off in enumerate(jitter, 1))]
    items = heard([sent(seq, ts_ns) for seq, ts_ns in enumerate(times)])
    assert not failures(items)
    assert all(chunk.joined for chunk in chunks(items)[1:])


@given(
    st.lists(st.integers(1, 9_000), min_size=1, max_size=20),
    st.sampled_from([4_000, 11_025, 44_100, 48_000]),
)
def test_what_our_publisher_sends_of_a_file_keeps_time(lengths: list[int], rate_hz: int) -> None:
    cutter, messages = Recut("s", lambda: 1), []
    for index, length in enumerate(lengths):
        sound = np.zeros((length, 1), np.float32)
        messages += cutter.feed(Chunk("s", rate_hz, sound, START_NS, index > 0))
    messages += cutter.leave(Break("s", over=True))
    items = heard(messages)
    assert not failures(items)
    assert all(chunk.joined for chunk in chunks(items)[1:])


@given(st.lists(st.sampled_from([0, 0, 0, 30, 200, 700, -700]), min_size=2, max_size=30), st.data())
def test_a_resume_counts_on_from_where_it_stood(offs: list[int], data: st.DataObject) -> None:
    drift_ns, messages = 0, []
    for seq, off in enumerate(offs):
        drift_ns += off * 1_000_000
        messages.append(sent(seq, START_NS + seq * STEP_NS + drift_ns))
    whole = heard(messages)
    at = data.draw(st.integers(0, len(messages) - 1))
    mark = chunks(whole)[at].mark
    again = heard(messages, resumed(mark))
    assert told(again) == told(whole, chunks(whole)[at])


def woven(count: int) -> list[AudioMessage]:
    """A sender that goes on, and another that takes its key."""
    first = [sent(seq, epoch="a") for seq in range(10)]
    for seq in range(count):
        at_ns = START_NS + (10 + seq) * STEP_NS
        first += [sent(seq, at_ns, "b"), sent(10 + seq, at_ns + 3, "a")]
    return first


def test_a_second_sender_of_a_key_is_said_at_once_and_once_a_minute() -> None:
    stream = KeyedStream("s", 0, "mean", {})
    found = failures(heard(woven(1_300), stream))
    assert [(failure.stream, failure.reason) for failure in found] == [("s", "two_senders")] * 3
    assert "key" in found[0].remedy
    assert stream.order.rivals == 1_299
    assert stream.order.repeated == 0


def test_after_a_resume_a_second_sender_is_said_when_it_would_have_been() -> None:
    messages = woven(700)
    whole = heard(messages)
    for at in (3, 10, 11, 12, 13, 400, 611, 612, 650):
        chunk = chunks(whole)[at]
        assert told(heard(messages, resumed(chunk.mark))) == told(whole, chunk)


def test_two_senders_that_take_turns_are_said_though_nothing_is_dropped() -> None:
    bursts: list[AudioMessage] = []
    for turn in range(6):
        bursts += [
            sent(turn // 2 * 4 + at, START_NS + (turn * 4 + at) * STEP_NS, "ab"[turn % 2])
            for at in range(4)
        ]
    assert [failure.reason for failure in failures(heard(bursts))] == ["two_senders"]


@pytest.mark.parametrize(
    ("names", "home"),
    [(["s/1", "s/2"], "s/1"), (["s"], "s"), (["s", "s/7"], "s"), ([], "s")],
)
def test_what_befalls_a_split_key_before_its_first_chunk_is_said_of_a_stream_it_had(
    names: list[str], home: str
) -> None:
    assert KeyedStream("s", 0, "split", {}, names).home == home
    mark = {"partition": 0, "offset": 3, "epoch": "e", "seq": 3}
    assert KeyedStream("s", 0, "split", dict.fromkeys(names, mark)).home == home


def test_a_gap_behind_the_mark_of_a_split_key_is_said_of_the_streams_it_had() -> None:
    mark = {"partition": 0, "offset": 3, "epoch": "e", "seq": 3}
    stream = KeyedStream("s", 0, "split", {"s/1": mark, "s/2": mark})
    late = [sent(seq, channels=2) for seq in (5, 6, 7, 8)]
    items = heard(late, stream, 5)
    assert [failure.stream for failure in failures(items)] == ["s/1", "s/2"]
