import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chunks import Break, Chunk, RawItem
from connectors.microphone.anchor import NS
from connectors.microphone.capture import Block, Take
from connectors.microphone.placing import Placing
from connectors.resample import Span
from connectors.strand import Strand
from operators.records import ANALYSIS_RATE_HZ, Failure

RATE_HZ = 1_000
BLOCK = 100
START_NS = 1_800_000_000 * NS
TAKE = Take("Porch (hw:1,0)", 2, RATE_HZ)


def block(number: int, *, take: Take = TAKE, late_s: float = 0.0, overflows: int = 0) -> Block:
    """The number-th block of a take, captured on time or late."""
    samples = np.arange(number * BLOCK * 2, (number + 1) * BLOCK * 2, dtype=np.float32)
    wall_ns = START_NS + (number + 1) * NS // 10 + round(late_s * NS)
    return Block(take, number * BLOCK, samples.tobytes(), BLOCK, wall_ns, 0.0, overflows)


def only_chunk(items: list[RawItem]) -> Chunk:
    (chunk,) = items
    assert isinstance(chunk, Chunk)
    return chunk


def gap_and_chunk(items: list[RawItem]) -> tuple[Failure, Chunk]:
    failure, chunk = items
    assert isinstance(failure, Failure)
    assert isinstance(chunk, Chunk)
    assert failure.stream == chunk.stream == "porch"
    assert failure.stage == "source"
    assert math.isnan(failure.start_s)
    assert not failure.fatal_source
    assert failure.remedy
    assert not chunk.joined
    return failure, chunk


def test_the_first_block_is_placed_by_the_clock_and_the_next_ones_join() -> None:
    placing = Placing("porch", "mic:porch", None)
    first = only_chunk(placing.place(block(0)))
    assert (first.joined, first.start_ns, first.rate_hz) == (False, START_NS, RATE_HZ)
    assert (first.stream, first.name, first.mark) == ("porch", "Porch (hw:1,0)", {})
    assert first.samples.shape == (BLOCK, 2)
    assert first.samples.dtype == np.float32
    assert not first.samples.flags.writeable
    second = only_chunk(placing.place(block(1, late_s=0.03)))
    assert second.joined
    assert second.start_ns == START_NS + NS // 10


@pytest.mark.parametrize("channel", [1, 2])
def test_one_channel_is_picked_as_it_was_captured(channel: int) -> None:
    placing = Placing("porch", "mic:porch,1", channel)
    chunk = only_chunk(placing.place(block(0)))
    assert np.array_equal(chunk.samples[:, 0], np.arange(channel - 1, 200, 2))
    assert chunk.samples.shape == (BLOCK, 1)
    assert not chunk.samples.flags.writeable


def test_blocks_dropped_from_a_full_buffer_are_counted_to_the_sample() -> None:
    placing = Placing("porch", "mic:porch", None)
    placing.place(block(0))
    failure, chunk = gap_and_chunk(placing.place(block(8, late_s=0.05)))
    assert failure.reason == "gap"
    assert failure.detail == "mic:porch: buffer_full, 0.700 s of audio lost"
    assert chunk.start_ns == START_NS + 8 * NS // 10
    assert only_chunk(placing.place(block(9))).joined


def test_an_overflow_is_placed_by_the_clock_and_never_before_what_was_heard() -> None:
    placing = Placing("porch", "mic:porch", None)
    placing.place(block(0))
    failure, chunk = gap_and_chunk(placing.place(block(1, late_s=0.25, overflows=1)))
    assert failure.detail == "mic:porch: overflow, about 0.250 s of audio lost"
    assert chunk.start_ns == START_NS + NS // 10 + NS // 4
    failure, chunk = gap_and_chunk(placing.place(block(2, overflows=2)))
    assert failure.detail == "mic:porch: overflow, about 0.000 s of audio lost"
    assert chunk.start_ns == START_NS + 2 * NS // 10 + NS // 4
    assert only_chunk(placing.place(block(3, overflows=2))).joined


def test_an_overflow_among_dropped_blocks_is_said_with_them_and_placed_by_the_clock() -> None:
    placing = Placing("porch", "mic:porch", None)
    placing.place(block(0))
    failure, chunk = gap_and_chunk(placing.place(block(8, late_s=0.4, overflows=1)))
    assert failure.detail == "mic:porch: overflow and buffer_full, about 1.100 s of audio lost"
    assert chunk.start_ns == START_NS + 12 * NS // 10
    failure, chunk = gap_and_chunk(placing.place(block(11, late_s=-9.0, overflows=2)))
    assert failure.detail.endswith("about 0.200 s of audio lost")
    assert chunk.start_ns == START_NS + 15 * NS // 10


def test_an_overflow_before_the_first_block_loses_nobody_anything() -> None:
    placing = Placing("porch", "mic:porch", None)
    assert not only_chunk(placing.place(block(0, overflows=1))).joined


def test_a_device_that_came_back_goes_on_at_its_own_rate_after_a_gap() -> None:
    placing = Placing("porch", "mic:porch", None)
    placing.place(block(0))
    again = Take("Porch (hw:2,0)", 1, 2 * RATE_HZ, after="no audio for 1 s")
    data = np.zeros(BLOCK, np.float32).tobytes()
    wall_ns = START_NS + 5 * NS + NS // 20
    failure, chunk = gap_and_chunk(
        placing.place(Block(again, 0, data, BLOCK, wall_ns, math.nan, overflows=1))
    )
    assert failure.reason == "gap"
    assert (
        failure.detail == "mic:porch: device_lost, about 4.900 s of audio lost (no audio for 1 s)"
    )
    assert (chunk.rate_hz, chunk.start_ns) == (2 * RATE_HZ, START_NS + 5 * NS)
    assert chunk.samples.shape == (BLOCK, 1)


def test_a_clock_that_was_set_on_is_told_and_the_stream_placed_anew() -> None:
    placing = Placing("porch", "mic:porch", None)
    for number in range(20):
        only_chunk(placing.place(block(number)))
    items = [placing.place(block(number, late_s=3_600.0)) for number in range(20, 40)]
    (told,) = [pair for pair in items if len(pair) > 1]
    failure, chunk = gap_and_chunk(told)
    assert failure.reason == "clock"
    assert "was captured 3600.000 s later than its samples count" in failure.detail
    assert chunk.start_ns == START_NS + items.index(told) * NS // 10 + 3_602 * NS


def set_back(placing: Placing, step_s: float = -3_600.0, heard: int = 20) -> list[RawItem]:
    """What comes of four seconds, in the middle of which the clock is set back."""
    blocks = [block(number) for number in range(heard)]
    blocks += [block(number, late_s=step_s) for number in range(heard, heard + 20)]
    return [item for each in blocks for item in placing.place(each)]


def test_audio_after_a_clock_was_set_back_joins_what_was_captured_before_and_it_is_told() -> None:
    items = set_back(Placing("porch", "mic:porch", None))
    chunks = [item for item in items if isinstance(item, Chunk)]
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert [chunk.joined for chunk in chunks] == [False] + [True] * 39
    assert [chunk.start_ns for chunk in chunks] == [START_NS + k * NS // 10 for k in range(40)]
    assert failure.reason == "clock"
    assert "clock lies 3600.000 s behind the audio, which is counted on" in failure.detail
    assert "NTP" in failure.remedy


def test_not_a_sample_is_left_out_by_a_listener_when_the_clock_was_set_back() -> None:
    strand = Strand("porch", 1_600)
    for item in set_back(Placing("porch", "mic:porch", 1)):
        assert isinstance(item, Chunk | Failure)
        strand.take(item)
    strand.take(Break("porch", over=True))
    heard, said = 0, []
    while strand.cutter.ready(flush=True) is not None:
        piece = strand.cutter.take()
        heard += len(piece.samples) if isinstance(piece, Span) else 0
        said += [piece.reason] if isinstance(piece, Failure) else []
    assert heard == 4 * ANALYSIS_RATE_HZ
    assert said == ["clock"]


def test_a_gap_is_measured_by_a_clock_that_lies_behind_and_ends_that_if_it_can() -> None:
    placing = Placing("porch", "mic:porch", None)
    set_back(placing)
    back = Take("Porch", 2, RATE_HZ, after="it was gone")
    late_s = 4.0 + 5.0 - 3_600.0
    failure, chunk = gap_and_chunk(placing.place(block(0, take=back, late_s=late_s)))
    assert "about 5.000 s of audio lost" in failure.detail
    assert chunk.start_ns == START_NS + 9 * NS
    again = Take("Porch", 2, RATE_HZ, after="it was gone")
    failure, chunk = gap_and_chunk(placing.place(block(0, take=again, late_s=12.0)))
    assert "about 2.900 s of audio lost" in failure.detail
    items = [placing.place(block(number, take=again, late_s=12.0)) for number in range(1, 40)]
    assert [only_chunk(each).joined for each in items] == [True] * 39
    assert only_chunk(items[-1]).start_ns == START_NS + 12 * NS + 39 * NS // 10


def test_a_stream_that_was_slewed_back_a_little_is_not_placed_into_itself_by_a_gap() -> None:
    placing = Placing("porch", "mic:porch", None)
    for number in range(5_000):
        slewed = only_chunk(placing.place(block(number, late_s=-0.3 if number else 0.0)))
    assert slewed.start_ns < START_NS + round((499.9 - 0.24) * NS)
    (_, chunk) = gap_and_chunk(placing.place(block(5_001)))
    assert chunk.start_ns == START_NS + 500 * NS


def test_a_run_after_a_clock_was_set_back_begins_where_the_one_before_ended() -> None:
    placing = Placing("porch", "mic:porch", None, START_NS + 60 * NS)
    items = [item for k in range(20) for item in placing.place(block(k))]
    chunks = [item for item in items if isinstance(item, Chunk)]
    assert [chunk.start_ns for chunk in chunks] == [
        START_NS + 60 * NS + k * NS // 10 for k in range(20)
    ]
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert "lies 60.000 s behind" in failure.detail


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.floats(-3, 3)), max_size=40
    )
)
def test_chunks_join_only_without_a_loss_and_every_loss_is_said_once(
    steps: list[tuple[int, bool, bool, float]],
) -> None:
    placing = Placing("porch", "mic:porch", None)
    number, take, heard, overflows, end_ns = -1, TAKE, False, 0, 0
    for skipped, reopened, overflow, late_s in steps:
        number += 1 + skipped
        if reopened:
            take = Take("Porch", 2, RATE_HZ, after="it was gone")
        overflows += overflow
        items = placing.place(block(number, take=take, late_s=late_s, overflows=overflows))
        whole = heard and not (skipped or reopened or overflow)
        chunk = items[-1]
        assert isinstance(chunk, Chunk)
        said = [item.reason for item in items if isinstance(item, Failure)]
        if said != ["clock"]:
            assert chunk.joined == whole
            assert said == ([] if whole or not heard else ["gap"])
        assert chunk.joined or chunk.start_ns >= end_ns
        end_ns = (end_ns if chunk.joined else chunk.start_ns) + NS // 10
        heard = True
