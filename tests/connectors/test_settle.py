"""Which files of a folder are whole: by rule, and against a model that remembers every listing."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from connectors.settle import (
    EMPTY_S,
    MOST_VANISHED,
    SETTLE_S,
    Finding,
    Look,
    Settling,
    Stamp,
    temporary,
)

S = 1_000_000_000
WALL = 1_700_000_000 * S
OLD = Stamp(100, WALL - 3600 * S)


def new(size: int = 100, at_s: float = 0.0) -> Stamp:
    return Stamp(size, WALL + round(at_s * S))


def look(at_s: float, *gone: str, **seen: Stamp) -> Look:
    at_ns = round(at_s * S)
    named = {f"{name}.wav": stamp for name, stamp in seen.items()}
    return Look(at_ns, at_ns, WALL + at_ns, named, gone)


def findings(settling: Settling) -> list[tuple[str, str]]:
    found = []
    while (finding := settling.next()) is not None:
        found.append((finding.verdict, finding.name.removesuffix(".wav")))
    return found


def shown(*looks: Look, settling: Settling | None = None) -> list[tuple[str, str]]:
    """What is found after each of some looks, all together."""
    settling = settling or Settling()
    found = []
    for one in looks:
        settling.show(one)
        found += findings(settling)
    return found


def test_files_that_have_stood_still_for_long_are_whole_at_once_in_name_order() -> None:
    assert shown(look(0, b=OLD, c=OLD, a=OLD)) == [("whole", "a"), ("whole", "b"), ("whole", "c")]


def test_a_file_just_written_is_whole_when_it_has_stood_still_for_two_seconds() -> None:
    settling = Settling()
    assert shown(look(0.0, a=new()), look(1.9), settling=settling) == []
    assert shown(look(2.0), settling=settling) == [("whole", "a")]


def test_a_file_that_grows_is_not_whole() -> None:
    growing = [look(at_s, a=new(100 + at_s, at_s)) for at_s in range(10)]
    assert shown(*growing, look(10.9)) == []
    assert shown(*growing, look(11.0)) == [("whole", "a")]


def test_a_time_of_change_in_the_future_is_waited_out_by_our_own_clock() -> None:
    assert shown(look(0, a=new(1, 500)), look(1.9)) == []
    assert shown(look(0, a=new(1, 500)), look(2.0)) == [("whole", "a")]


def test_the_time_that_a_listing_takes_does_not_count_as_standing_still() -> None:
    slow = Look(0, 5 * S, WALL, {"a.wav": new()})
    assert shown(slow, look(6.9)) == []
    assert shown(slow, look(7.0)) == [("whole", "a")]


def test_a_whole_file_that_changes_before_its_turn_waits_again() -> None:
    settling = Settling()
    settling.show(look(0, a=OLD, b=OLD))
    assert settling.next() == Finding("whole", "a.wav")
    assert shown(look(1, b=new(200, 1)), settling=settling) == []
    assert shown(look(3), settling=settling) == [("whole", "b")]


def test_a_file_that_goes_before_it_was_taken_is_forgotten() -> None:
    settling = Settling()
    settling.show(look(0, a=OLD, b=new()))
    settling.show(look(1, "a.wav", "b.wav"))
    assert findings(settling) == []
    assert settling.snapshot()["heard"] == settling.snapshot()["vanished"] == []


def test_what_is_still_named_as_unfinished_is_left_alone() -> None:
    names = [".a.wav", "a.wav.part", "a.tmp", "a.wav.CRDOWNLOAD", "a.wav~"]
    settling = Settling()
    settling.show(Look(0, 0, WALL, dict.fromkeys(names, OLD)))
    assert settling.next() is None
    settling.show(Look(S, S, WALL + S, {"a.wav": OLD}, names))
    assert settling.next() == Finding("whole", "a.wav")
    assert not temporary("temp.part.wav")


def test_a_file_that_stays_empty_is_said_once_and_still_waited_for() -> None:
    settling = Settling()
    assert shown(look(0, a=Stamp(0, OLD.mtime_ns)), look(59.9), settling=settling) == []
    assert shown(look(60), look(200), settling=settling) == [("empty", "a")]
    assert shown(look(300, a=new(9, 300)), look(302), settling=settling) == [("whole", "a")]


def test_a_file_that_changes_after_it_was_heard_is_said_once_and_not_heard_again() -> None:
    settling = Settling()
    settling.show(look(0, a=OLD))
    assert findings(settling) == [("whole", "a")]
    more = [look(at_s, a=new(100 + at_s, at_s)) for at_s in (1, 2, 9)]
    assert shown(*more, look(99), settling=settling) == [("changed", "a")]


def test_what_is_said_comes_before_the_next_file() -> None:
    settling = Settling()
    assert shown(look(0, m=OLD), settling=settling) == [("whole", "m")]
    assert shown(look(1, a=OLD, m=new(1)), settling=settling) == [("changed", "m"), ("whole", "a")]


def test_a_file_that_comes_back_as_it_was_is_not_heard_again() -> None:
    heard = [look(0, a=OLD), look(1, "a.wav"), look(2, a=OLD)]
    assert shown(*heard) == [("whole", "a")]


def test_another_file_under_the_name_of_one_that_vanished_is_heard() -> None:
    settling = Settling()
    shown(look(0, a=OLD), look(1, a=new(7, 1)), look(2, "a.wav"), settling=settling)
    assert shown(look(9, a=new(5, 3)), settling=settling) == [("whole", "a")]
    assert shown(look(10, a=new(6, 10)), settling=settling) == [("changed", "a")]


def test_a_disk_that_was_taken_out_is_remembered_whole_but_vanished_files_not_for_ever() -> None:
    many = {f"f{number:04}": OLD for number in range(MOST_VANISHED + 10)}
    gone = [f"{name}.wav" for name in many]
    settling = Settling()
    shown(look(0, **many), look(1, *gone), settling=settling)
    assert shown(look(2, **many), settling=settling) == []
    shown(look(3, *gone), look(4, other=OLD), look(5, "other.wav"), settling=settling)
    assert len(settling.snapshot()["vanished"]) == MOST_VANISHED + 1
    assert len(shown(look(6, **many), settling=settling)) == 10


def test_an_earlier_run_is_gone_on_with() -> None:
    settling = Settling()
    shown(look(0, a=OLD, b=OLD, c=OLD), look(1, "c.wav", b=new(1, 1)), settling=settling)
    state = settling.snapshot()
    later = Settling(state=state)
    assert later.snapshot() == state
    found = shown(look(50, a=new(2, 40), b=new(2, 40), c=OLD, d=OLD), settling=later)
    assert found == [("changed", "a"), ("whole", "d")]


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        Settling(state={"version": 9})


@dataclass
class Life:
    """One file from its first listing to the listing that lacks it."""

    stamp: Stamp
    since_s: float
    whole_when_seen: bool
    said: bool = False


class Folder(RuleBasedStateMachine):
    """A folder that is written to and listed, in whatever order, with restarts in between."""

    names = st.sampled_from(["a", "b", "c", ".d", "e.part"])

    def __init__(self) -> None:
        super().__init__()
        self.settling = Settling()
        self.files: dict[str, Stamp] = {}
        self.known: dict[str, Stamp] = {}
        self.lives: dict[str, Life] = {}
        self.heard: dict[str, Stamp] = {}
        self.changed: set[str] = set()
        self.words: list[Finding] = []
        self.now_s = self.looked_s = 0.0

    @rule(name=names, size=st.integers(0, 3), age_s=st.sampled_from([0.0, 1.0, 5.0, -100.0]))
    def write(self, name: str, size: int, age_s: float) -> None:
        self.files[name] = new(size, self.now_s - age_s)

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    @rule(one=names, other=names)
    def rename(self, one: str, other: str) -> None:
        if one in self.files:
            self.files[other] = self.files.pop(one)

    @rule(by_s=st.sampled_from([0.5, 1.0, 2.0, 30.0]))
    def wait(self, by_s: float) -> None:
        self.now_s += by_s

    @rule()
    def list_folder(self) -> None:
        seen = {name: at for name, at in self.files.items() if self.known.get(name) != at}
        gone = [name for name in self.known if name not in self.files]
        at_ns = round(self.now_s * S)
        self.settling.show(Look(at_ns, at_ns, WALL + at_ns, seen, gone))
        for name in gone:
            self.lives.pop(name)
        for name, stamp in sorted(seen.items()):
            self._note(name, stamp)
        self.known, self.looked_s = dict(self.files), self.now_s
        for name, life in sorted(self.lives.items()):
            empty = not life.stamp.size and name not in self.heard and not temporary(name)
            if empty and not life.said and self.now_s - life.since_s >= EMPTY_S:
                life.said = True
                self.words.append(Finding("empty", name))

    def _note(self, name: str, stamp: Stamp) -> None:
        life = self.lives.get(name)
        if life is None:
            age_s = self.now_s - (stamp.mtime_ns - WALL) / S
            self.lives[name] = Life(stamp, self.now_s, age_s >= SETTLE_S)
            if self.heard.get(name) not in (stamp, None):
                del self.heard[name]
                self.changed.discard(name)
            return
        life.stamp, life.since_s, life.whole_when_seen = stamp, self.now_s, False
        if name in self.heard:
            self.heard[name] = stamp
            if name not in self.changed:
                self.changed.add(name)
                self.words.append(Finding("changed", name))

    @rule()
    def take(self) -> None:
        """Everything that is to be said, and then a file if one is whole."""
        for word in self.words:
            assert self.settling.next() == word
        self.words.clear()
        whole = [name for name, life in self.lives.items() if self.is_whole(name, life)]
        assert self.settling.next() == (Finding("whole", min(whole)) if whole else None)
        if whole:
            self.heard[min(whole)] = self.lives[min(whole)].stamp

    def is_whole(self, name: str, life: Life) -> bool:
        """By the listings so far: there, not heard, and still for long enough at the last one."""
        still = life.whole_when_seen or self.looked_s - life.since_s >= SETTLE_S
        return bool(life.stamp.size) and still and not temporary(name) and name not in self.heard

    @rule()
    def restart(self) -> None:
        """What was heard is known; all else is looked at afresh."""
        self.settling = Settling(state=json.loads(json.dumps(self.settling.snapshot())))
        self.lives = {name: life for name, life in self.lives.items() if name in self.heard}
        self.known = {name: life.stamp for name, life in self.lives.items()}
        self.words = [word for word in self.words if word.verdict == "changed"]
        assert self.settling.heard == self.known


Folder.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestFolder = Folder.TestCase
