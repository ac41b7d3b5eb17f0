"""Files and folders as one stream: positions, gaps, defects in their place, exact resuming."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.chunks import Clock, ReadOptions, State
from connectors.files import Files
from connectors.framed import Framed
from connectors.reader import Item
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, Frame

S = ANALYSIS_RATE_HZ
STOPPED = Clock(steady_ns=lambda: 0)
"""So that a batch is full, however slow the machine."""


def sound(rate_hz: int, seconds: float, channels: int = 1) -> Floats:
    shape = (round(rate_hz * seconds), channels)
    noise = np.random.default_rng(round(seconds * 1000)).standard_normal(shape) * 0.1
    return noise.astype(np.float32)


def reader(target: Path, frame_ms: int = 100, state: State | None = None) -> Framed:
    return Framed(
        Files, "s", str(target), ReadOptions(frame_ms=frame_ms, start_ns=7, clock=STOPPED), state
    )


def batches(source: Framed) -> Iterator[list[Item]]:
    while True:
        items = source.next()
        yield items
        if items and isinstance(items[-1], Frame) and items[-1].last:
            source.close()
            return


def everything(source: Framed) -> list[Item]:
    return [item for batch in batches(source) for item in batch]


def runs(items: list[Item]) -> list[tuple[int, Floats]]:
    """Contiguous stretches of audio: position and samples."""
    joined: list[tuple[int, list[Floats]]] = []
    end = -1
    for item in items:
        if isinstance(item, Frame) and len(item.samples):
            if item.index != end:
                assert item.index > end
                joined.append((item.index, []))
            joined[-1][1].append(item.samples)
            end = item.index + len(item.samples)
    return [(index, np.concatenate(parts)) for index, parts in joined]


def failures(items: list[Item]) -> list[Failure]:
    return [item for item in items if isinstance(item, Failure)]


def same_audio(one: list[Item], other: list[Item]) -> bool:
    a, b = runs(one), runs(other)
    return [index for index, _ in a] == [index for index, _ in b] and all(
        np.array_equal(x, y) for (_, x), (_, y) in zip(a, b, strict=True)
    )


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of file, several of them damaged."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "a long.wav", sound(8_000, 33), 8_000)
    holes = sound(16_000, 3)
    holes[[9_000, 20_000]] = np.nan
    soundfile.write(folder / "b holes.wav", holes, 16_000, subtype="FLOAT")
    soundfile.write(folder / "c.flac", sound(44_100, 1.5, 2), 44_100)
    soundfile.write(folder / "d half.flac", sound(44_100, 3), 44_100)
    content = (folder / "d half.flac").read_bytes()
    (folder / "d half.flac").write_bytes(content[: len(content) // 2])
    (folder / "e.mp3").write_text("not music " * 99)
    soundfile.write(folder / "f.ogg", sound(48_000, 1.2), 48_000)
    soundfile.write(folder / "g.mp3", sound(48_000, 1.4), 48_000)
    (folder / "g.txt").write_text("notes")
    (folder / ".h.wav").write_text("hidden")
    soundfile.write(folder / "i.wav", sound(96_000, 0.7, 6), 96_000)
    (folder / "j.m4a").write_bytes(b"\0" * 99)
    return folder


@pytest.fixture(scope="module")
def whole(troubled: Path) -> list[Item]:
    return everything(reader(troubled))


def test_a_file_becomes_frames_at_exact_positions_and_ends_in_band(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(S, 1.05), S, subtype="FLOAT")
    *frames, last = everything(reader(tmp_path / "a.wav"))
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [frame.index for frame in frames if isinstance(frame, Frame)] == [
        k * 4_410 for k in range(11)
    ]
    assert np.array_equal(runs(frames)[0][1], sound(S, 1.05)[:, 0])
    assert isinstance(last, Frame)
    assert (last.index, len(last.samples), last.last) == (46_305, 0, True)
    assert {frame.origin_ns for frame in frames if isinstance(frame, Frame)} == {7}
    assert not any(frame.samples.flags.writeable for frame in frames if isinstance(frame, Frame))


def test_the_files_of_a_folder_follow_each_other_with_ten_seconds_between(tmp_path: Path) -> None:
    for name, seconds in (("b.wav", 2.0), ("a.flac", 1.0), ("c.WAV", 0.5)):
        soundfile.write(tmp_path / name, sound(22_050, seconds), 22_050)
    heard = [(index, len(samples)) for index, samples in runs(everything(reader(tmp_path)))]
    assert heard == [(0, S), (11 * S, 2 * S), (23 * S, S // 2)]


def test_every_defect_is_said_in_its_place_and_the_rest_is_heard(whole: list[Item]) -> None:
    said = [(f.reason, f.fatal_source) for f in failures(whole)]
    assert said == [
        ("nan", False),
        ("nan", False),
        ("truncated", True),
        ("unknown_format", True),
        ("unknown_format", True),
    ]
    assert [f.start_s for f in failures(whole)][:2] == pytest.approx([43.5625, 44.25], abs=1e-4)
    assert len(runs(whole)) == 3 + 1 + 1 + 1 + 1 + 1 + 1
    assert all(f.stage == "source" and f.stream == "s" and f.remedy for f in failures(whole))
    ends = [item.last for item in whole if isinstance(item, Frame)]
    assert ends.count(True) == 1


@pytest.mark.parametrize("frame_ms", [7, 20, 1_000, 12_345])
def test_the_samples_do_not_depend_on_the_frame_length(
    frame_ms: int, troubled: Path, whole: list[Item]
) -> None:
    items = everything(reader(troubled, frame_ms))
    assert same_audio(items, whole)
    assert failures(items) == failures(whole)
    longest = max(len(item.samples) for item in items if isinstance(item, Frame))
    assert longest <= round(frame_ms * 44.1)


@settings(max_examples=40, deadline=None)
@given(
    stops=st.lists(st.integers(0, 60), min_size=1, max_size=3),
    frame_ms=st.sampled_from([33, 100, 900]),
)
def test_a_resumed_stream_goes_on_bit_for_bit(
    stops: list[int], frame_ms: int, troubled: Path, whole: list[Item]
) -> None:
    state: State | None = None
    items: list[Item] = []
    for stop in stops:
        source = reader(troubled, frame_ms, state)
        for _, batch in zip(range(stop), batches(source), strict=False):
            items += batch
        if items and isinstance(items[-1], Frame) and items[-1].last:
            break
        state = json.loads(json.dumps(source.snapshot()))
        source.close()
    else:
        items += everything(reader(troubled, 100, state))
    assert same_audio(items, whole)
    assert failures(items) == failures(whole)


def test_a_file_that_is_gone_when_the_run_goes_on_is_said(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, sound(S, 2), S)
    source = reader(tmp_path)
    before = source.next()
    state = source.snapshot()
    (tmp_path / "a.wav").unlink()
    after = everything(reader(tmp_path, state=state))
    assert len(before) == 10
    assert [f.reason for f in failures(after)] == ["missing"]
    assert [(index, len(samples)) for index, samples in runs(after)] == [(11 * S, 2 * S)]


def test_a_file_that_shrank_while_the_run_was_down_never_costs_the_next_one(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, sound(8_000, 25), 8_000)
    source = reader(tmp_path)
    for _ in range(20):
        source.next()
    state = source.snapshot()
    soundfile.write(tmp_path / "a.wav", sound(8_000, 1), 8_000)
    after = everything(reader(tmp_path, state=state))
    assert [(index, len(samples)) for index, samples in runs(after)] == [(30 * S, 25 * S)]


def test_new_files_of_a_folder_are_found_when_the_run_goes_on(tmp_path: Path) -> None:
    for name in ("b.wav", "d.wav"):
        soundfile.write(tmp_path / name, sound(S, 1.5), S)
    source = reader(tmp_path)
    source.next()
    state = source.snapshot()
    for name in ("a.wav", "c.wav"):
        soundfile.write(tmp_path / name, sound(S, 0.5), S)
    after = everything(reader(tmp_path, state=state))
    assert [len(samples) for _, samples in runs(after)] == [S // 2, S // 2, S * 3 // 2]


@pytest.mark.parametrize("kind", ["nothing there", "empty folder", "only text"])
def test_a_source_without_audio_is_one_failure_and_an_end(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "recordings"
    if kind != "nothing there":
        target.mkdir()
    if kind == "only text":
        (target / "a.txt").write_text("hello")
    failure, end = everything(reader(target))
    assert isinstance(failure, Failure)
    assert failure.reason == ("missing" if kind == "nothing there" else "no_audio")
    assert failure.fatal_source
    assert "recordings" in failure.detail
    assert isinstance(end, Frame)
    assert (end.last, end.index) == (True, 0)


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="version 99"):
        reader(tmp_path, state={"version": 99})


def test_in_real_time_a_frame_comes_when_its_audio_would_have_ended(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(48_000, 0.5), 48_000)
    now = [5_000_000_000]
    clock = Clock(wall_ns=lambda: 42, steady_ns=lambda: now[0])
    options = ReadOptions(speed="realtime", frame_ms=100, clock=clock)
    source = Framed(Files, "s", str(tmp_path / "a.wav"), options)
    assert source.next() == []
    assert source.wait_ns == 100_000_000
    now[0] += 99_000_000
    assert source.next() == []
    assert source.wait_ns == 1_000_000
    now[0] += 1_000_000
    (frame,) = source.next()
    assert isinstance(frame, Frame)
    assert (frame.index, len(frame.samples), frame.delivered_ns) == (0, 4_410, 42)
    now[0] += 250_000_000
    assert [item.index for item in source.next() if isinstance(item, Frame)] == [4_410, 8_820]
    state = source.snapshot()
    resumed = Framed(Files, "s", str(tmp_path / "a.wav"), options, state)
    assert resumed.next() == []
    assert resumed.wait_ns == 100_000_000


def test_a_call_ends_when_its_time_is_up(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(S, 2), S)
    ticks = iter(range(0, 10**12, 2_000_000))
    options = ReadOptions(clock=Clock(steady_ns=lambda: next(ticks)))
    source = Framed(Files, "s", str(tmp_path / "a.wav"), options)
    sizes = [len(items) for items in batches(source)]
    assert max(sizes) <= 2
    assert sum(sizes) == 21


def test_the_length_of_a_folder_is_the_sum_of_its_headers_and_gaps(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, sound(8_000, 1.5), 8_000)
    (tmp_path / "c.wav").write_text("no audio")
    source = reader(tmp_path)
    assert source.total_s is None
    source.next()
    assert source.total_s == 13.0
    assert source.position == S


def test_a_file_without_a_single_number_is_a_gap_of_its_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(16_000, np.nan), 8_000, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", sound(8_000, 1), 8_000)
    items = everything(reader(tmp_path))
    assert [f.reason for f in failures(items)] == ["nan"]
    assert [index for index, _ in runs(items)] == [12 * S]
