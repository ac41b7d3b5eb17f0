import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chunks import Chunk, RawItem
from connectors.microphone.anchor import NS
from connectors.microphone.capture import Block, Take
from connectors.microphone.placing import Placing
from operators.records import Failure

RATE_HZ = 1_000
BLOCK = 100
START_NS = 1_800_000_000 * NS
TAKE = Take("Porch (hw:1,0)", 2, RATE_HZ)


def block(number: int, *, take: Take = TAKE, late_s: float = 0.0, overflow: bool = False) -> Block:
    """The number-th block of a take, captured on time or late."""
    samples = np.arange(number * BLOCK * 2, (number + 1) * BLOCK * 2, dtype=np.float32)
    wall_ns = START_NS + (number + 1) * NS // 10 + round(late_s * NS)
    return Block(take, number * BLOCK, samples.tobytes(), BLOCK, wall_ns, 0.0, overflow)


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
    failure, chunk = gap_and_chunk(placing.place(block(1, late_s=0.25, overflow=True)))
    assert failure.detail == "mic:porch: overflow, about 0.250 s of audio lost"
    assert chunk.start_ns == START_NS + NS // 10 + NS // 4
    failure, chunk = gap_and_chunk(placing.place(block(2, overflow=True)))
    assert failure.detail == "mic:porch: overflow, about 0.000 s of audio lost"
    assert chunk.start_ns == START_NS + 2 * NS // 10 + NS // 4


def test_an_overflow_before_the_first_block_loses_nobody_anything() -> None:
    placing = Placing("porch", "mic:porch", None)
    assert not only_chunk(placing.place(block(0, overflow=True))).joined


def test_a_device_that_came_back_goes_on_at_its_own_rate_after_a_gap() -> None:
    placing = Placing("porch", "mic:porch", None)
    placing.place(block(0))
    again = Take("Porch (hw:2,0)", 1, 2 * RATE_HZ, after="no audio for 1 s")
    data = np.zeros(BLOCK, np.float32).tobytes()
    wall_ns = START_NS + 5 * NS + NS // 20
    failure, chunk = gap_and_chunk(
        placing.place(Block(again, 0, data, BLOCK, wall_ns, math.nan, overflow=True))
    )
    assert failure.reason == "gap"
    assert (
        failure.detail == "mic:porch: device_lost, about 4.900 s of audio lost (no audio for 1 s)"
    )
    assert (chunk.rate_hz, chunk.start_ns) == (2 * RATE_HZ, START_NS + 5 * NS)
    assert chunk.samples.shape == (BLOCK, 1)


@pytest.mark.parametrize(
    ("step_s", "said"),
    [
        (3_600.0, "was captured 3600.000 s later than its samples count"),
        (-2.0, "2.000 s earlier than its samples count; what overlaps what was heard is left out"),
    ],
)
def test_a_wall_clock_that_steps_is_told_and_the_stream_placed_anew(
    step_s: float, said: str
) -> None:
    placing = Placing("porch", "mic:porch", None)
    for number in range(20):
        only_chunk(placing.place(block(number)))
    items = [placing.place(block(number, late_s=step_s)) for number in range(20, 40)]
    (told,) = [pair for pair in items if len(pair) > 1]
    failure, chunk = gap_and_chunk(told)
    assert failure.reason == "clock"
    assert said in failure.detail
    assert chunk.start_ns == START_NS + items.index(told) * NS // 10 + round((2 + step_s) * NS)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.floats(0, 0.4)), max_size=40
    )
)
def test_chunks_join_only_without_a_loss_and_every_loss_is_said_once(
    steps: list[tuple[int, bool, bool, float]],
) -> None:
    placing = Placing("porch", "mic:porch", None)
    number, take, heard = -1, TAKE, False
    for skipped, reopened, overflow, late_s in steps:
        number += 1 + skipped
        if reopened:
            take = Take("Porch", 2, RATE_HZ, after="it was gone")
        items = placing.place(block(number, take=take, late_s=late_s, overflow=overflow))
        whole = heard and not (skipped or reopened or overflow)
        chunk = items[-1]
        assert isinstance(chunk, Chunk)
        assert chunk.joined == whole
        assert len(items) == (1 if whole or not heard else 2)
        heard = True
