from collections import deque
from types import SimpleNamespace

from connectors.chunks import Clock
from connectors.microphone.capture import Block, Capture, Take

TAKE = Take("Porch", 1, 16_000)
TIMES = SimpleNamespace(currentTime=10.5, inputBufferAdcTime=10.25)
CLEAR = SimpleNamespace(input_overflow=False)


def make(bound: int = 3) -> tuple[Capture, deque[Block], list[str]]:
    buffer: deque[Block] = deque(maxlen=bound)
    ends: list[str] = []
    steady = iter(range(100))
    clock = Clock(wall_ns=lambda: 77, steady_ns=lambda: next(steady))
    return Capture(clock, buffer, lambda: ends.append("end")), buffer, ends


def test_a_block_is_copied_with_its_position_its_time_and_its_flags() -> None:
    capture, buffer, _ = make()
    capture.begin(TAKE)
    data = bytearray(b"abcd" * 2)
    capture.on_block(data, 2, TIMES, CLEAR)
    data[:] = bytes(8)
    capture.on_block(data, 2, TIMES, SimpleNamespace(input_overflow=True))
    assert list(buffer) == [
        Block(TAKE, 0, b"abcdabcd", 2, 77, 0.25, overflows=0),
        Block(TAKE, 2, bytes(8), 2, 77, 0.25, overflows=1),
    ]
    assert capture.heard
    assert capture.heard_ns == 2


def test_a_full_buffer_drops_the_oldest_and_the_positions_show_it() -> None:
    capture, buffer, _ = make(bound=3)
    capture.begin(TAKE)
    for _ in range(5):
        capture.on_block(b"", 10, TIMES, CLEAR)
    assert [block.position for block in buffer] == [20, 30, 40]


def test_an_overflow_of_a_block_that_was_dropped_shows_in_the_next_one_kept() -> None:
    capture, buffer, _ = make(bound=2)
    capture.begin(TAKE)
    for overflow in (False, True, False, False):
        capture.on_block(b"", 10, TIMES, SimpleNamespace(input_overflow=overflow))
    assert [(block.position, block.overflows) for block in buffer] == [(20, 1), (30, 1)]


def test_nothing_is_kept_before_the_beginning_or_after_the_cut() -> None:
    capture, buffer, ends = make()
    capture.on_block(b"", 10, TIMES, CLEAR)
    assert not capture.heard
    capture.begin(TAKE)
    capture.cut()
    capture.on_block(b"", 10, TIMES, CLEAR)
    capture.on_end()
    assert not buffer
    assert not ends
    assert not capture.lost


def test_an_end_that_nobody_asked_for_is_told_at_once() -> None:
    capture, _, ends = make()
    capture.begin(TAKE)
    capture.on_end()
    assert capture.lost
    assert ends == ["end"]
