"""A watched folder as one stream: what is heard, what is said, and going on where a run stopped."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from connectors.chunks import Break, Chunk, Clock, RawItem, ReadOptions, Resume, State
from connectors.framed import Framed
from connectors.settle import Look
from connectors.watch import MOST_DECISIONS, Watch, Watched, WatchOptions, derived_name
from operators.records import ANALYSIS_RATE_HZ, Failure, Floats, Frame, SourceState

START_NS = 1_700_000_000_000_000_000
S = 1_000_000_000
Eventually = Callable[[Callable[[], object]], bool]


@dataclass
class Hands:
    """A clock that is turned by hand."""

    now_ns: int = START_NS
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(lambda: self.now_ns, lambda: self.now_ns)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def options(hands: Hands) -> ReadOptions:
    own = WatchOptions(every_s=0.0)
    return ReadOptions(start_ns=5, clock=hands.clock, own={"watch": own})


def sound(seed: int, seconds: float = 0.2, rate_hz: int = 16_000) -> Floats:
    count = round(seconds * rate_hz)
    values = np.random.default_rng(seed).integers(-3_000, 3_000, (count, 1)) / 32_768
    return values.astype(np.float32)


def record(path: Path, seed: int, seconds: float = 0.2, age_s: float = 100.0) -> Floats:
    """A file that was written some time before the clock's start, and is seen whole or not."""
    samples = sound(seed, seconds)
    hidden = path.with_name(f".{path.name}")
    soundfile.write(hidden, samples, 16_000, subtype="PCM_16")
    date(hidden, age_s)
    hidden.rename(path)
    return samples


def date(path: Path, age_s: float) -> None:
    at_ns = START_NS - round(age_s * S)
    os.utime(path, ns=(at_ns, at_ns))


class Listener:
    """Collects what a source returns until something was heard of it."""

    def __init__(
        self,
        folder: Path,
        options: ReadOptions,
        eventually: Eventually,
        resume: Resume | None = None,
    ) -> None:
        self.source = Watch("day", f"watch:{folder}", options, resume)
        self.items: list[RawItem] = []
        self._eventually = eventually

    def until(self, condition: Callable[[], object]) -> None:
        assert self._eventually(lambda: self.items.extend(self.source.next()) or condition())

    def looks(self, count: int = 3) -> None:
        """Go on until the folder was listed a few times after now."""
        takes = 0
        lookout = self.source._watched._lookout
        assert lookout is not None
        take = lookout.take

        def counted() -> Look | OSError | None:
            nonlocal takes
            look = take()
            takes += look is not None
            return look

        lookout.take = counted
        self.until(lambda: takes >= count)
        lookout.take = take

    @property
    def failures(self) -> list[Failure]:
        return [item for item in self.items if isinstance(item, Failure)]

    @property
    def states(self) -> list[str]:
        return [item.state for item in self.items if isinstance(item, SourceState)]

    @property
    def heard(self) -> list[str]:
        """Names of the files that were read to their end, in order."""
        files = [item.mark["file"] for item in self.items if isinstance(item, Break) and item.mark]
        return list(dict.fromkeys(files))

    def audio(self, name: str) -> Floats:
        chunks = [item for item in self.items if isinstance(item, Chunk) and item.name == name]
        return np.concatenate([chunk.samples for chunk in chunks])

    def close(self) -> None:
        self.source.close()


@pytest.fixture
def listen(
    tmp_path: Path, options: ReadOptions, eventually: Eventually
) -> Iterator[Callable[..., Listener]]:
    listening: list[Listener] = []

    def start(resume: Resume | None = None) -> Listener:
        listening.append(Listener(tmp_path, options, eventually, resume))
        return listening[-1]

    yield start
    for one in listening:
        one.close()


def test_the_files_of_a_folder_are_heard_in_name_order_ten_seconds_apart(
    tmp_path: Path, listen: Callable[..., Listener]
) -> None:
    sounds = {name: record(tmp_path / name, seed) for seed, name in enumerate(("b.wav", "a.wav"))}
    (tmp_path / "notes.txt").write_text("no audio")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "nowhere.wav").symlink_to(tmp_path / "nothing")
    record(tmp_path / ".hidden.wav", 9)
    day = listen()
    day.until(lambda: len(day.heard) == 2)
    assert day.heard == ["a.wav", "b.wav"]
    assert day.failures == []
    for name, samples in sounds.items():
        assert np.array_equal(day.audio(name), samples)
    starts = [item.start_ns for item in day.items if isinstance(item, Chunk) and not item.joined]
    assert starts == [5, 5 + 10 * S + S // 5]
    assert not day.source.done
    assert day.source.wait_ns > 0
    assert (day.source.total_s, day.source.lag_s) == (None, None)


def test_a_file_is_heard_when_it_has_stood_still(
    tmp_path: Path, listen: Callable[..., Listener], hands: Hands
) -> None:
    record(tmp_path / "a.wav", 1, age_s=0)
    day = listen()
    day.until(lambda: day.source._watched._lookout)
    day.looks()
    hands.now_ns += S
    day.looks()
    assert day.heard == []
    record(tmp_path / "a.wav", 2, seconds=0.3, age_s=-1.0)
    day.looks()
    hands.now_ns += 2 * S - 1
    day.looks()
    assert day.heard == []
    hands.now_ns += 1
    day.until(lambda: day.heard)
    assert np.array_equal(day.audio("a.wav"), sound(2, 0.3))


def test_what_cannot_be_read_is_said_and_the_stream_goes_on(
    tmp_path: Path, listen: Callable[..., Listener], hands: Hands
) -> None:
    record(tmp_path / "a.wav", 1)
    (tmp_path / "b.wav").write_bytes(b"noise, not audio")
    (tmp_path / "c.wav").touch()
    record(tmp_path / "d.wav", 2)
    for name in ("b.wav", "c.wav"):
        date(tmp_path / name, 100)
    day = listen()
    day.until(lambda: len(day.heard) == 3)
    assert [(said.reason, said.fatal_source) for said in day.failures] == [("unknown_format", True)]
    hands.now_ns += 60 * S
    day.until(lambda: len(day.failures) == 2)
    assert day.failures[1].reason == "empty"
    assert "c.wav: has stayed at 0 bytes for 60 s" in day.failures[1].detail
    record(tmp_path / "c.wav", 3)
    day.until(lambda: len(day.failures) == 2 and hands_on(hands) and "c.wav" in day.heard)
    assert day.heard == ["a.wav", "b.wav", "d.wav", "c.wav"]


def hands_on(hands: Hands) -> bool:
    hands.now_ns += S
    return True


def test_a_file_that_changes_after_it_was_heard_is_said_once(
    tmp_path: Path, listen: Callable[..., Listener]
) -> None:
    record(tmp_path / "a.wav", 1)
    day = listen()
    day.until(lambda: day.heard)
    record(tmp_path / "a.wav", 2, age_s=50)
    day.until(lambda: day.failures)
    record(tmp_path / "a.wav", 3, age_s=40)
    day.looks()
    (said,) = day.failures
    assert said.reason == "changed"
    assert "a.wav: changed after it was taken" in said.detail
    assert ".part" in said.remedy
    assert len([item for item in day.items if isinstance(item, Chunk)]) == 2


def test_a_folder_that_goes_away_is_waited_for(
    tmp_path: Path, options: ReadOptions, eventually: Eventually
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    record(folder / "a.wav", 1)
    day = Listener(folder, options, eventually)
    day.until(lambda: day.heard)
    folder.rename(tmp_path / "away")
    day.until(lambda: day.states)
    day.looks()
    assert day.states == ["degraded"]
    record(tmp_path / "away" / "b.wav", 2)
    (tmp_path / "away").rename(folder)
    day.until(lambda: len(day.heard) == 2)
    assert day.states == ["degraded", "live"]
    assert day.heard == ["a.wav", "b.wav"]
    assert day.failures == []
    day.close()


@pytest.mark.parametrize(("name", "reason"), [("nothing", "missing"), ("a.wav", "unreadable")])
def test_a_folder_that_was_never_there_is_an_error(
    tmp_path: Path, options: ReadOptions, eventually: Eventually, name: str, reason: str
) -> None:
    record(tmp_path / "a.wav", 1)
    day = Listener(tmp_path / name, options, eventually)
    day.until(lambda: day.source.done)
    (said,) = day.failures
    assert (said.reason, said.fatal_source) == (reason, True)
    assert f"{tmp_path / name}: cannot be watched" in said.detail
    day.close()


def test_a_later_run_waits_for_a_folder_that_an_earlier_one_heard(
    tmp_path: Path, options: ReadOptions, eventually: Eventually
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    record(folder / "a.wav", 1)
    first = Listener(folder, options, eventually)
    first.until(lambda: first.heard)
    first.close()
    folder.rename(tmp_path / "away")
    later = Listener(folder, options, eventually, resumed(first))
    later.until(lambda: later.states)
    (tmp_path / "away").rename(folder)
    later.until(lambda: later.states == ["degraded", "live"])
    later.looks()
    assert later.heard == later.failures == []
    later.close()


def resumed(listener: Listener, upto: int | None = None) -> Resume:
    """Going on from the last mark among the first ``upto`` items."""
    items = listener.items[:upto]
    marks = [item.mark for item in items if isinstance(item, Chunk | Break) and item.mark]
    return Resume(listener.source.snapshot(), {"day": marks[-1]} if marks else {})


def essence(items: list[RawItem]) -> list[object]:
    """What may be compared of items: arrays as bytes."""
    return [
        (item.mark, item.start_ns, item.samples.tobytes())
        if isinstance(item, Chunk)
        else (item.stream, getattr(item, "mark", ""), getattr(item, "reason", ""))
        for item in items
    ]


def test_from_every_mark_the_same_is_repeated_whatever_became_of_the_folder(
    tmp_path: Path, listen: Callable[..., Listener]
) -> None:
    for seed, name in enumerate(("c.wav", "d.wav")):
        record(tmp_path / name, seed)
    first = listen()
    first.until(lambda: len(first.heard) == 2)
    record(tmp_path / "c.wav", 0, age_s=70)
    first.until(lambda: first.failures)
    record(tmp_path / "b.wav", 7)
    first.until(lambda: len(first.heard) == 3)
    assert first.heard == ["c.wav", "d.wav", "b.wav"]
    record(tmp_path / "a.wav", 8)
    first.close()

    for upto, item in enumerate(first.items):
        if not isinstance(item, Chunk | Break) or not item.mark:
            continue
        later = listen(resumed(first, upto + 1))
        later.until(lambda later=later: "a.wav" in later.heard)
        repeated = first.items[upto + isinstance(item, Break) :]
        assert essence(later.items)[: len(repeated)] == essence(repeated)
        rest = later.items[len(repeated) :]
        assert {rest_item.mark["file"] for rest_item in rest} == {"a.wav"}
        later.close()


@dataclass
class Run:
    """A watched folder as frames, interrupted after every few batches that held something."""

    folder: Path
    options: ReadOptions
    restart_after: int
    frames: list[Frame] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    restarts: int = 0
    batches: int = 0

    def __post_init__(self) -> None:
        self.reader = self._framed(None)

    def _framed(self, state: State | None) -> Framed:
        return Framed(Watch, "day", f"watch:{self.folder}", self.options, state)

    def step(self) -> None:
        items = self.reader.next()
        self.frames += [item for item in items if isinstance(item, Frame)]
        self.failures += [item for item in items if isinstance(item, Failure)]
        self.batches += bool(items)
        if items and self.batches % self.restart_after == 0:
            state = self.reader.snapshot()
            self.reader.close()
            self.reader = self._framed(state)
            self.restarts += 1

    @property
    def delivered(self) -> int:
        return sum(len(frame.samples) for frame in self.frames)

    @property
    def heard(self) -> list[tuple[int, bytes]]:
        """Stretches of audio that go on without a gap: position and samples."""
        stretches: list[tuple[int, list[Floats]]] = []
        end = -1
        for frame in self.frames:
            if frame.index != end:
                stretches.append((frame.index, []))
            stretches[-1][1].append(frame.samples)
            end = frame.index + len(frame.samples)
        return [(index, np.concatenate(parts).tobytes()) for index, parts in stretches]


def test_every_frame_is_delivered_once_through_restarts(
    tmp_path: Path, options: ReadOptions, eventually: Eventually
) -> None:
    for seed, name in enumerate("abcdef"):
        record(tmp_path / f"{name}.wav", seed, seconds=2.35)
    (tmp_path / "c.wav").write_bytes(b"damaged")
    date(tmp_path / "c.wav", 100)

    def run(restart_after: int) -> Run:
        running = Run(tmp_path, options, restart_after)
        wanted = 5 * round(2.35 * ANALYSIS_RATE_HZ)
        assert eventually(lambda: running.step() or running.delivered >= wanted)
        running.reader.close()
        return running

    undisturbed = run(1_000_000)
    assert len(undisturbed.heard) == 5
    assert [said.reason for said in undisturbed.failures] == ["unknown_format"]
    for restart_after in (1, 2, 3):
        interrupted = run(restart_after)
        assert interrupted.restarts >= 3
        assert interrupted.heard == undisturbed.heard
        assert interrupted.failures == undisturbed.failures


def test_a_state_that_does_not_go_back_far_enough_is_refused(
    tmp_path: Path, options: ReadOptions
) -> None:
    source = Watch("day", f"watch:{tmp_path}", options)
    resume = Resume(
        source.snapshot(), {"day": {"file": "", "base": 0, "input": None, "decided": 1}}
    )
    with pytest.raises(ValueError, match="does not go back"):
        Watch("day", f"watch:{tmp_path}", options, resume)
    source.close()


def test_decisions_are_written_down_up_to_a_bound(
    tmp_path: Path, options: ReadOptions, eventually: Eventually
) -> None:
    count = MOST_DECISIONS + 20
    for number in range(count):
        (tmp_path / f"{number:03}.wav").write_bytes(b"x")
        date(tmp_path / f"{number:03}.wav", 100)
    own = WatchOptions(every_s=0.0)
    watched = Watched(tmp_path, own, options.clock, None, 0)
    taken: list[Path | None] = []
    assert eventually(
        lambda: taken.append(watched.next()) or watched.decided == MOST_DECISIONS + 20
    )
    assert [path.name for path in taken if path] == sorted(path.name for path in tmp_path.iterdir())
    log = watched.snapshot()["watched"]["log"]
    assert (log["first"], len(log["decisions"])) == (20, MOST_DECISIONS)
    watched.close()


@pytest.mark.parametrize(
    ("target", "name"),
    [("watch:/data/in", "in"), ("watch:in/", "in"), ("watch:.", Path.cwd().name)],
)
def test_without_a_name_the_stream_is_called_as_the_folder(target: str, name: str) -> None:
    assert derived_name(target) == name


@pytest.mark.parametrize("target", ["watch:", "watch:/"])
def test_a_folder_without_a_name_asks_for_one(target: str) -> None:
    with pytest.raises(ValueError, match="no folder whose name"):
        derived_name(target)
