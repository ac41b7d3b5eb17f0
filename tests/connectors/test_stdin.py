"""Standard input as a stream: what arrives, when it ends, and what cannot be raw PCM."""

import io
import os
import pty
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chunks import Break, Chunk, RawItem, ReadOptions, Resume
from connectors.framed import Framed
from connectors.pipe import READ_BYTES, READS
from connectors.stdin import Stdin, StdinOptions, derived_name
from operators.records import Failure, Floats, Frame

START_NS = 1_700_000_000_000_000_000
Eventually = Callable[[Callable[[], object]], bool]


def noise(frames: int, channels: int = 1) -> Floats:
    values = np.random.default_rng(frames).integers(-32768, 32768, (frames, channels))
    return (values / 32768).astype(np.float32)


def pcm(samples: Floats) -> bytes:
    return (samples * 32768).astype("<i2").tobytes()


def options(own: StdinOptions) -> ReadOptions:
    return ReadOptions(start_ns=START_NS, own={"-": own})


def source(own: StdinOptions, resume: Resume | None = None) -> Stdin:
    return Stdin("stdin", "-", options(own), resume)


def written(raw: bytes, piece: int = READ_BYTES) -> int:
    """A pipe into which a thread writes ``raw`` piece by piece, and then closes it."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as pipe:
            for at in range(0, len(raw), piece):
                pipe.write(raw[at : at + piece])

    threading.Thread(target=write, daemon=True).start()
    return reading


def shut(*fds: int) -> None:
    """Close descriptors that no thread reads any more: their numbers are used again."""
    for thread in threading.enumerate():
        if thread.name == "stdin":
            thread.join()
    for fd in fds:
        os.close(fd)


def items_of(stdin: Stdin) -> list[RawItem]:
    return [item for batch in batches(stdin) for item in batch]


def batches(stdin: Stdin) -> Iterator[list[RawItem]]:
    while not stdin.done:
        yield stdin.next()
    assert stdin.next() == []


def heard(
    raw: bytes, rate_hz: int = 16_000, channels: int = 1, encoding: str = "s16le", piece: int = 9999
) -> list[RawItem]:
    fd = written(raw, piece)
    try:
        return items_of(source(StdinOptions(rate_hz, channels, encoding, fd)))
    finally:
        shut(fd)


def audio(items: list[RawItem]) -> Floats:
    return np.concatenate([item.samples for item in items if isinstance(item, Chunk)])


def failure(items: list[RawItem]) -> Failure:
    (said,) = (item for item in items if isinstance(item, Failure))
    return said


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40_000), st.integers(1, 3), st.integers(700, READ_BYTES))
def test_every_sample_of_a_pipe_is_delivered_with_its_time(
    frames: int, channels: int, piece: int
) -> None:
    samples = noise(frames, channels)
    items = heard(pcm(samples), 16_000, channels, piece=piece)
    chunks = [item for item in items if isinstance(item, Chunk)]
    assert items == [*chunks, Break("stdin", over=True)]
    assert np.array_equal(audio(items), samples)
    assert [chunk.joined for chunk in chunks] == [False] + [True] * (len(chunks) - 1)
    at = 0
    for chunk in chunks:
        assert (chunk.stream, chunk.rate_hz, chunk.mark) == ("stdin", 16_000, {})
        assert len(chunk.samples) <= 1_600
        assert chunk.start_ns == START_NS + at * 62_500
        at += len(chunk.samples)


def test_when_stopped_everything_that_was_read_is_returned_before_nothing_is(
    eventually: Eventually,
) -> None:
    samples = noise(5 * 16_000)
    reading, writing = os.pipe()
    stdin = source(StdinOptions(16_000, 1, "s16le", reading))
    assert stdin.next() == []
    assert stdin._pcm is not None
    waiting = stdin._pcm._pipe._queue.queue
    threading.Thread(target=os.write, args=(writing, pcm(samples))).start()
    assert eventually(lambda: sum(map(len, list(waiting))) == 2 * len(samples))
    items = []
    while more := stdin.next():
        items += more
    assert np.array_equal(audio(items), samples)
    stdin.close()
    shut(reading, writing)


def test_a_call_returns_a_second_of_audio_at_most() -> None:
    fd = written(pcm(noise(80_000)))
    stdin = source(StdinOptions(8_000, 1, "s16le", fd))
    sizes = [
        sum(len(item.samples) for item in batch if isinstance(item, Chunk))
        for batch in batches(stdin)
    ]
    shut(fd)
    assert sum(sizes) == 80_000
    assert max(sizes) <= 8_000


def test_whoever_writes_waits_for_us_and_nothing_is_lost(eventually: Eventually) -> None:
    samples = noise(READ_BYTES * (READS + 8) // 2)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    raw, sent = memoryview(pcm(samples)), 0
    stdin = source(StdinOptions(16_000, 1, "s16le", reading))
    items = stdin.next()

    def stuffed() -> bool:
        nonlocal sent
        try:
            sent += os.write(writing, raw[sent:])
        except BlockingIOError:
            return sent >= READ_BYTES * READS
        return False

    assert eventually(stuffed)
    assert sent < len(raw)
    os.set_blocking(writing, True)
    rest = threading.Thread(target=lambda: (os.write(writing, raw[sent:]), os.close(writing)))
    rest.start()
    items += items_of(stdin)
    rest.join()
    shut(reading)
    assert np.array_equal(audio(items), samples)


def test_an_idle_pipe_does_not_block_and_asks_for_patience() -> None:
    reading, writing = os.pipe()
    stdin = source(StdinOptions(16_000, 1, "s16le", reading))
    assert stdin.next() == []
    assert stdin.wait_ns > 0
    assert (stdin.done, stdin.total_s, stdin.lag_s) == (False, None, None)
    stdin.close()
    stdin.close()
    shut(reading, writing)


def test_what_a_live_pipe_brought_is_not_held_back(eventually: Eventually) -> None:
    reading, writing = os.pipe()
    stdin = source(StdinOptions(16_000, 1, "s16le", reading))
    os.write(writing, pcm(noise(3)))
    items: list[RawItem] = []
    assert eventually(lambda: items.extend(stdin.next()) or items)
    assert np.array_equal(audio(items), noise(3))
    os.close(writing)
    assert eventually(lambda: items.extend(stdin.next()) or stdin.done)
    shut(reading)


@pytest.mark.parametrize("frames", [4, 5])
def test_closing_ends_the_thread(eventually: Eventually, frames: int) -> None:
    before = threading.active_count()
    reading, writing = os.pipe()
    stdin = source(StdinOptions(16_000, 1, "s16le", reading))
    stdin.next()
    os.write(writing, pcm(noise(frames)))
    stdin.close()
    assert eventually(lambda: threading.active_count() <= before)
    shut(reading, writing)


def test_closing_ends_a_thread_that_waits_for_room(eventually: Eventually) -> None:
    before = threading.active_count()
    with io.FileIO("/dev/zero") as endless:
        stdin = source(StdinOptions(16_000, 1, "s16le", endless.fileno()))
        assert eventually(stdin.next)
        stdin.close()
        assert eventually(lambda: threading.active_count() <= before)


def test_bytes_that_are_no_whole_frame_are_named_after_the_audio_before_them() -> None:
    samples = noise(8_000, 2)
    items = heard(pcm(samples) + b"abc", 16_000, 2)
    assert np.array_equal(audio(items), samples)
    said = failure(items)
    assert (said.reason, said.fatal_source) == ("truncated", True)
    assert "last 3 bytes, at 0.500 s" in said.detail
    assert items[-2:] == [said, Break("stdin", over=True)]


@pytest.mark.parametrize("raw", [b"", b"x"])
def test_a_pipe_without_a_sample_says_so(raw: bytes) -> None:
    items = heard(raw, 16_000, 1, "s24le")
    said = failure(items)
    assert said.reason == ("truncated" if raw else "empty")
    assert said.fatal_source
    assert items == [said, Break("stdin", over=True)]


def test_fewer_bytes_than_a_header_are_audio_too() -> None:
    assert np.array_equal(audio(heard(b"RI")), np.array([[0x4952 / 32768]], np.float32))


@pytest.mark.parametrize(
    ("magic", "kind"), [(b"RIFF", "WAV"), (b"fLaC", "FLAC"), (b"OggS", "Ogg"), (b"FORM", "AIFF")]
)
def test_the_header_of_a_file_is_refused_instead_of_heard_as_noise(magic: bytes, kind: str) -> None:
    items = heard(magic + bytes(50_000), piece=3)
    said = failure(items)
    assert (said.reason, said.fatal_source) == ("container", True)
    assert kind in said.detail
    assert "-t raw" in said.remedy
    assert items == [said, Break("stdin", over=True)]


@pytest.mark.parametrize(
    ("own", "reason", "said_in_remedy"),
    [
        (StdinOptions(), "format", "--rate --channels --format"),
        (StdinOptions(16_000), "format", "--rate --channels --format"),
        (StdinOptions(16_000, 1, "u8"), "format", "s24le"),
        (StdinOptions(1_000, 1), "sample_rate", "--rate"),
        (StdinOptions(500_000, 1), "sample_rate", "--rate"),
        (StdinOptions(16_000, 0), "channels", "--channels"),
        (StdinOptions(16_000, 65), "channels", "--channels"),
    ],
)
def test_a_format_that_cannot_be_meant_is_refused_before_anything_is_read(
    own: StdinOptions, reason: str, said_in_remedy: str
) -> None:
    stdin = source(own)
    items = stdin.next()
    assert stdin.done
    assert failure(items).reason == reason
    assert failure(items).fatal_source
    assert said_in_remedy in failure(items).remedy
    assert items[-1] == Break("stdin", over=True)
    stdin.close()


def test_a_terminal_is_told_what_to_pipe() -> None:
    main, terminal = pty.openpty()
    items = items_of(source(StdinOptions(16_000, 1, "s16le", terminal)))
    assert failure(items).reason == "terminal"
    assert "-f s16le - | grym listen - --rate" in failure(items).remedy.replace(
        "-ar 16000 -ac 1 ", ""
    )
    os.close(main)
    os.close(terminal)


def test_a_descriptor_that_cannot_be_read_is_a_failure() -> None:
    folder = os.open("/", os.O_RDONLY)
    items = items_of(source(StdinOptions(16_000, 1, "s16le", folder)))
    os.close(folder)
    assert failure(items).reason == "unreadable"
    assert "directory" in failure(items).detail


def test_after_a_crash_what_arrives_follows_what_was_heard() -> None:
    state = source(StdinOptions(16_000, 1)).snapshot()
    fd = written(pcm(noise(100)))
    resume = Resume(state, positions={"stdin": START_NS + 5_000_000_000})
    items = items_of(source(StdinOptions(16_000, 1, "s16le", fd), resume))
    shut(fd)
    said, chunk, end = items
    assert isinstance(said, Failure)
    assert (said.reason, said.fatal_source) == ("resumed", False)
    assert isinstance(chunk, Chunk)
    assert chunk.start_ns == START_NS + 5_000_000_000
    assert end == Break("stdin", over=True)


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 2"):
        source(StdinOptions(16_000, 1), Resume({"version": 2}))


def test_without_a_name_the_stream_is_stdin() -> None:
    assert derived_name("-") == "stdin"


def test_a_pipe_becomes_frames_to_its_end() -> None:
    samples = noise(44_100)
    fd = written(pcm(samples))
    framed = Framed(Stdin, "stdin", "-", options(StdinOptions(44_100, 1, "s16le", fd)))
    frames: list[Frame] = []
    while not framed.done:
        frames += [item for item in framed.next() if isinstance(item, Frame)]
    shut(fd)
    assert np.array_equal(np.concatenate([frame.samples for frame in frames]), samples[:, 0])
    assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert all(a.index + len(a.samples) == b.index for a, b in pairwise(frames))
    assert {frame.origin_ns for frame in frames} == {START_NS}
