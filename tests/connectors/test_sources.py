"""What a SOURCE means, and all of them as one Bytewax source with recovery."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import numpy as np
import pytest
import soundfile
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, run_main

from connectors.chunks import Clock, ReadOptions, Share
from connectors.reader import Item
from connectors.sources import (
    SourceError,
    Sources,
    SourceSpec,
    check_divisible,
    parse,
    parse_all,
)
from operators.records import ANALYSIS_RATE_HZ, Failure, Frame


@dataclass
class Room:
    available: bool = True
    room: bool = True


def write(path: Path, seconds: float, rate_hz: int = 8_000) -> Path:
    noise = np.random.default_rng(3).standard_normal(round(rate_hz * seconds)) * 0.1
    soundfile.write(path, noise, rate_hz)
    return path


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("/data/day 1.wav", SourceSpec("day 1.wav", "/data/day 1.wav", "file")),
        ("/data/days/", SourceSpec("days", "/data/days/", "file")),
        ("yard/north=/data/a.wav", SourceSpec("yard/north", "/data/a.wav", "file")),
        ("/data/a=b.wav", SourceSpec("/data/a", "b.wav", "file")),
        ("/data/my a=b.wav", SourceSpec("my a=b.wav", "/data/my a=b.wav", "file")),
        ("/data/1T12:30.wav", SourceSpec("1T12:30.wav", "/data/1T12:30.wav", "file")),
        ("rec12:30.wav", SourceSpec("rec12:30.wav", "rec12:30.wav", "file")),
        ("/data/a|b\n.wav", SourceSpec("a_b_.wav", "/data/a|b\n.wav", "file")),
    ],
)  # fmt: skip
def test_a_source_is_named_or_called_as_its_file(spec: str, expected: SourceSpec) -> None:
    assert parse(spec) == expected


def test_a_path_that_exists_is_that_path_whatever_it_contains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a=b.wav", "mic:1.wav", "-"):
        Path(name).touch()
        assert parse(name) == SourceSpec(name, name, "file")
    assert parse(".") == SourceSpec(tmp_path.name, ".", "file")
    assert parse("..").name == tmp_path.parent.name


@pytest.mark.parametrize(
    ("spec", "scheme"),
    [
        ("https://example.org/a.wav", "https"),
        ("hall=ftp:a.wav", "ftp"),
    ],
)
def test_a_kind_of_source_without_a_reader_lists_what_there_is(spec: str, scheme: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(spec)
    assert f"no '{scheme}' source in this version; available: a path" in str(caught.value)
    assert "kafka, mic, watch" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name", "scheme"),
    [
        ("kafka://host:9092/topic?from=earliest", "topic", "kafka"),
        ("site=kafka://host:9092/topic", "site", "kafka"),
        ("mic:default", "default", "mic"),
        ("hall=mic:USB,2", "hall", "mic"),
        ("watch:/data/in", "in", "watch"),
        ("-", "stdin", "-"),
    ],
)
def test_a_source_without_a_name_is_called_by_what_it_is(spec: str, name: str, scheme: str) -> None:
    parsed = parse(spec)
    assert (parsed.name, parsed.scheme) == (name, scheme)


@pytest.mark.parametrize("spec", ["kafka://host:9092/", "kafka://host/topic?speed=2", "mic:"])
def test_a_malformed_target_is_one_line(spec: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(spec)
    assert "\n" not in str(caught.value)


def test_only_topics_are_divided_between_processes() -> None:
    half = Share(0, 2)
    check_divisible([parse("kafka://h/t")], half)
    check_divisible([parse("/data/a.wav")], Share())
    with pytest.raises(SourceError, match="--process divides the partitions of topics"):
        check_divisible([parse("kafka://h/t"), parse("/data/a.wav")], half)


@pytest.mark.parametrize("spec", ["", "name="])
def test_nothing_to_listen_to_is_refused(spec: str) -> None:
    with pytest.raises(SourceError, match="nothing to listen to"):
        parse(spec)


def test_the_root_folder_needs_a_name() -> None:
    with pytest.raises(SourceError, match="give one: name=/"):
        parse("/")


def test_a_path_the_system_refuses_is_still_a_path() -> None:
    assert parse("a" * 5_000).scheme == "file"


def test_no_source_at_all_is_refused() -> None:
    with pytest.raises(SourceError, match="no source given"):
        parse_all([])


@pytest.mark.parametrize("specs", [["/a/x.wav", "/b/x.wav"], ["n=/a/x.wav", "n=/b/y.wav"]])
def test_two_sources_of_one_name_are_refused_with_the_way_out(specs: list[str]) -> None:
    with pytest.raises(SourceError, match=r"give each a name .* one=/a/x\.wav two=/b/"):
        parse_all(specs)


def test_every_stream_is_a_partition(tmp_path: Path) -> None:
    specs = parse_all([f"b={tmp_path}", f"a={tmp_path}"])
    assert Sources(specs, credit=Room()).list_parts() == ["a", "b"]


def test_progress_names_every_stream(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 2)
    standing = Clock(steady_ns=lambda: 0)
    options = ReadOptions(clock=standing)
    sources = Sources(parse_all([str(tmp_path / "a.wav")]), credit=Room(), options=options)
    part = sources.build_part("in", "a.wav", None)
    assert sources.progress()[0].total_s is None
    part.next_batch()
    (progress,) = sources.progress()
    assert (progress.stream, progress.position_s, progress.total_s) == ("a.wav", 1.0, 2.0)


def run(
    specs: list[str],
    recovery: Path | None = None,
    *,
    stop_after: int | None = None,
    fail_after: int | None = None,
    epoch_s: float = 0,
) -> list[Item]:
    """Listen in a real flow; ``stop`` is asked for, or a step crashes, after so many items."""
    out: list[Item] = []

    def count(item: Item) -> Item:
        if fail_after is not None and len(out) >= fail_after:
            raise RuntimeError("a step crashed")
        return item

    sources = Sources(
        parse_all(specs),
        credit=Room(),
        stop=lambda: stop_after is not None and len(out) >= stop_after,
        options=ReadOptions(clock=Clock(steady_ns=lambda: 0)),
    )
    flow = Dataflow("listen")
    stream = op.input("sources", flow, sources)
    op.output("out", op.map("count", stream, count), TestingSink(out))
    config = RecoveryConfig(str(recovery)) if recovery else None
    run_main(flow, epoch_interval=timedelta(seconds=epoch_s), recovery_config=config)
    return out


def audio(items: list[Item], stream: str) -> list[tuple[int, bytes, bool]]:
    frames = [item for item in items if isinstance(item, Frame) and item.stream == stream]
    return [(frame.index, frame.samples.tobytes(), frame.last) for frame in frames]


@pytest.fixture
def specs(tmp_path: Path) -> list[str]:
    long, short = write(tmp_path / "a.wav", 34), write(tmp_path / "b.flac", 3, 48_000)
    return [str(long), f"b={short}", f"gone={tmp_path / 'gone.wav'}"]


@pytest.fixture
def recovery(tmp_path: Path) -> Path:
    folder = tmp_path / "recovery"
    folder.mkdir()
    init_db_dir(folder, 1)
    return folder


def test_one_source_fails_and_the_others_are_heard_to_their_ends(specs: list[str]) -> None:
    items = run(specs)
    (failure,) = [item for item in items if isinstance(item, Failure)]
    assert (failure.stream, failure.reason, failure.fatal_source) == ("gone", "missing", True)
    for stream, seconds in (("a.wav", 34), ("b", 3), ("gone", 0)):
        *_, (index, _, last) = audio(items, stream)
        assert (index, last) == (seconds * ANALYSIS_RATE_HZ, True)


def test_streams_take_turns(specs: list[str]) -> None:
    streams = [item.stream for item in run(specs) if isinstance(item, Frame)]
    assert streams.index("b") < 12
    assert len(streams) - streams[::-1].index("b") < 80


@pytest.mark.parametrize("epoch_s", [0, 10])
def test_a_finished_run_has_nothing_more_to_say(
    specs: list[str], recovery: Path, epoch_s: float
) -> None:
    assert run(specs[:2], recovery, epoch_s=epoch_s)
    assert run(specs[:2], recovery, epoch_s=epoch_s) == []


def test_a_source_that_was_not_there_is_looked_for_again(
    specs: list[str], recovery: Path, tmp_path: Path
) -> None:
    run(specs, recovery)
    assert [type(item) for item in run(specs, recovery)] == [Failure, Frame]
    write(tmp_path / "gone.wav", 2)
    *_, (index, _, last) = audio(run(specs, recovery), "gone")
    assert (index, last) == (2 * ANALYSIS_RATE_HZ, True)


@pytest.mark.parametrize("epoch_s", [0, 10])
def test_a_stopped_run_goes_on_where_it_was_without_loss_or_repetition(
    specs: list[str], recovery: Path, epoch_s: float
) -> None:
    whole = run(specs)
    parts = [run(specs, recovery, stop_after=45, epoch_s=epoch_s)]
    assert not any(last for _, _, last in audio(parts[0], "a.wav"))
    parts += [run(specs, recovery, stop_after=100, epoch_s=epoch_s), run(specs, recovery)]
    items = [item for part in parts for item in part]
    for stream in ("a.wav", "b"):
        assert audio(items, stream) == audio(whole, stream)
    said = {item.detail for item in items if isinstance(item, Failure)}
    assert said == {item.detail for item in whole if isinstance(item, Failure)}


def test_after_a_crash_the_same_frames_come_again(specs: list[str], recovery: Path) -> None:
    whole = run(specs)
    with pytest.raises(RuntimeError):
        run(specs, recovery, fail_after=60)
    again = run(specs, recovery)
    for stream in ("a.wav", "b"):
        rest = audio(again, stream)
        assert rest == audio(whole, stream)[len(audio(whole, stream)) - len(rest) :]
    assert len(audio(again, "a.wav")) < len(audio(whole, "a.wav"))
