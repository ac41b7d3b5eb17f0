"""The slow lane: what it says, when, and what it does when something goes wrong."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.breaker import BreakerConfig
from operators.describing import DescribeConfig, Describing
from operators.describing.desk import Desk
from operators.describing.displaced import Displaced
from operators.describing.ring import Rings
from operators.models.protocol import ModelError
from operators.records import Failure, Floats, Frame, StreamEnd
from operators.remarks import Description
from operators.revision import Revision
from tests.operators.describing.conftest import (
    RATE,
    Lane,
    Model,
    changes,
    frames,
    occurrence,
    pattern,
    reasons,
    texts,
)

Make = Callable[..., Lane]


def show(lane: Lane, *names: str, at_s: float = 1.0, apart_s: float = 0.0) -> None:
    """Patterns are confirmed and heard."""
    for k, name in enumerate(names):
        lane.submit(pattern(name), occurrence(name, at_s + k * apart_s))


def words(lane: Lane) -> Desk:
    """Where the model is asked: the last one."""
    return lane.lane._desks[-1]


def test_a_confirmed_pattern_is_described_from_what_was_heard_then(make: Make) -> None:
    lane = make()
    lane.submit(*frames(3.0))
    show(lane, "p")
    assert lane.lane.busy
    (told,) = lane.settle()
    assert told == Description("mic", "p", "30870 samples", "teller", 1.0, 1.5, 10**9)
    assert not lane.lane.busy
    (clip,) = lane.model.heard
    first = round(0.9 * RATE)
    expected = (np.arange(first, first + 30_870) % 32_768) / 32_768
    np.testing.assert_array_equal(clip, expected.astype(np.float32))
    assert lane.lane.counts["described"] == 1


def test_the_same_exemplar_is_cut_however_the_audio_came(make: Make) -> None:
    whole = np.concatenate([f.samples for f in frames(3.0)])
    heard = []
    for sizes in ([7, 10_000, 90_000, 32_293], [132_300], [66_150, 66_150]):
        lane, at = make(), 0
        for size in sizes:
            lane.submit(Frame("mic", at, whole[at : at + size], 0))
            if not at:
                show(lane, "p")  # its end comes in later
            at += size
        lane.settle()
        heard.append(lane.model.heard[0])
    for clip in heard[1:]:
        np.testing.assert_array_equal(clip, heard[0])


def test_a_pattern_is_described_again_only_after_a_while(make: Make) -> None:
    lane = make(every_s=4.0, keep_s=60.0)
    lane.submit(*frames(10.0))
    for at_s in (1.0, 3.0, 4.9, 5.0, 8.0):
        show(lane, "p", at_s=at_s)
        lane.settle()
    assert len(lane.model.heard) == 2


def test_while_one_exemplar_is_on_its_way_no_other_of_that_pattern_is_cut(make: Make) -> None:
    lane = make()
    lane.model.released.clear()
    lane.submit(*frames(5.0))
    show(lane, "p")
    lane.lane.poll()
    lane.submit(occurrence("p", 2.0), occurrence("p", 3.0))
    assert lane.lane.waiting == 0
    lane.model.released.set()
    assert len(texts(lane.settle())) == 1


def test_nothing_is_cut_of_what_hindsight_took_back_before(make: Make) -> None:
    lane = make()
    lane.submit(*frames(3.0))
    at = occurrence("p", 2.8)  # its end has not come in yet
    back = Revision("mic", at.start_s, at.start_ns, "p", "", "hindsight", 900.0)
    lane.submit(pattern("p"), at, back, *frames(6.0)[3:])
    assert lane.settle() == []
    assert lane.model.heard == []
    lane.submit(occurrence("p", 4.0))
    assert len(texts(lane.settle())) == 1


def test_a_long_sound_is_cut_off_where_the_model_hears_no_more(make: Make) -> None:
    model = Model()
    model.longest_s = 2.0
    lane = make(model, pad_s=0.25)
    lane.submit(*frames(10.0))
    lane.submit(pattern("p"), occurrence("p", 1.0, long_s=6.0))
    lane.settle()
    assert len(model.heard[0]) == 2 * RATE


def test_at_the_end_of_a_stream_an_exemplar_is_cut_there(make: Make) -> None:
    lane = make()
    *most, last = frames(2.0)
    lane.submit(*most, Frame("mic", last.index, last.samples, 0, last=True))
    show(lane, "p", at_s=1.5)
    lane.submit(StreamEnd("mic", 2 * RATE, 0))
    assert texts(lane.settle()) == [("p", f"{round(0.6 * RATE)} samples")]


def test_a_text_is_one_line_of_bounded_length(make: Make) -> None:
    lane = make(longest_text=10)
    lane.model.say = lambda _clip: "  a dog\n\n barks   loudly "
    lane.submit(*frames(2.0))
    show(lane, "p")
    assert texts(lane.settle()) == [("p", "a dog bar…")]


def test_a_call_that_never_returns_holds_nothing_up(make: Make) -> None:
    lane = make(queue=2, keep_s=1.0, streams=1)
    lane.model.released.clear()
    lane.submit(*frames(2.0))
    show(lane, "first", at_s=1.2)
    lane.lane.poll()
    assert lane.model.entered.acquire(timeout=30)
    out: list[Any] = []
    for k in range(40):
        lane.submit(*frames(1.0, start_s=2.0 + k))
        show(lane, f"p{k}", at_s=2.2 + k)
        out += lane.lane.poll()
    assert lane.lane.waiting == 2
    assert texts(out) == []
    # Of what had to give way the audio goes; that is told once, with all of it counted.
    assert reasons(out) == ["queue_full"]
    assert lane.lane.counts["queue_full"] >= 36
    lane.model.released.set()
    assert next(name for name, _ in texts(lane.settle())) == "first"


def test_what_had_to_give_way_is_described_when_there_is_room_again(make: Make) -> None:
    lane = make(queue=2)
    names = [f"p{k}" for k in range(9)]
    lane.submit(*frames(20.0))
    show(lane, *names, at_s=1.0, apart_s=2.0)
    lane.submit(StreamEnd("mic", 20 * RATE, 0))
    assert lane.lane.waiting == 2
    out = lane.settle()
    assert sorted(name for name, _ in texts(out)) == names
    assert reasons(out) == []
    assert lane.lane._cutting._rings._rings == {}


def test_what_had_to_give_way_and_was_heard_again_is_described_once(make: Make) -> None:
    lane = make(queue=1)
    lane.submit(*frames(8.0))
    show(lane, "a", "b", at_s=1.0, apart_s=1.0)
    assert [at.pattern for at in lane.lane._cutting.displaced] == ["a"]
    lane.submit(occurrence("a", 4.0))
    told = [o for o in lane.settle() if isinstance(o, Description)]
    assert [(o.pattern, o.start_s) for o in told] == [("a", 4.0), ("b", 2.0)]


def test_what_had_to_give_way_and_whose_audio_has_gone_is_counted(make: Make) -> None:
    lane = make(queue=1, keep_s=2.0, streams=1)
    lane.submit(*frames(3.0))
    show(lane, "a", "b", at_s=1.2, apart_s=0.6)
    lane.submit(*frames(9.0, start_s=3.0))
    out = lane.settle()
    assert [name for name, _ in texts(out)] == ["b"]
    assert reasons(out) == ["queue_full"]
    assert lane.lane._cutting.displaced == []


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0.2, 2.0)), max_size=40))
@settings(deadline=None, max_examples=30)
def test_every_pattern_that_is_due_is_described_or_its_loss_is_counted(
    told: list[tuple[str, float]],
) -> None:
    lane = Lane(Model(), {"queue": 2, "keep_s": 2.0, "streams": 1, "every_s": 1e6, "retry_s": 0.0})
    at_s = 0.0
    for name, later_s in told:
        lane.submit(*frames(later_s, start_s=at_s), pattern(name))
        at_s += later_s
        lane.submit(occurrence(name, max(0.0, at_s - 0.3), long_s=0.1))
    lane.submit(StreamEnd("mic", round(at_s * RATE), 0))
    described = [name for name, _ in texts(lane.settle())]
    counts = lane.lane.counts
    lost = counts.get("queue_full", 0) + counts.get("too_late", 0)
    assert len(described) == len(set(described))
    missing = {name for name, _ in told} - set(described)
    assert len(missing) <= lost
    assert lane.lane._cutting._rings._rings == {}
    assert lane.lane.close() == []


def test_losses_are_told_at_most_once_an_hour_with_their_number(make: Make) -> None:
    lane = make(keep_s=1.0, streams=1)
    lane.submit(*frames(10.0))
    show(lane, "p", "q")
    lines = [o for o in lane.settle() if isinstance(o, Failure)]
    assert [line.reason for line in lines] == ["too_late"]
    assert lines[0].detail.endswith(": 2")
    assert "describe.keep_s" in lines[0].remedy
    assert lines[0].stage == "describe"
    show(lane, "r")
    assert lane.settle() == []
    lane.clock.now_s += 3_600.0
    (line,) = lane.lane.poll()
    assert isinstance(line, Failure)
    assert line.detail.endswith(": 1")
    assert lane.lane.counts["too_late"] == 3


def test_a_look_back_beyond_what_is_kept_is_no_loss(make: Make) -> None:
    lane = make(keep_s=1.0, streams=1)
    lane.submit(*frames(10.0))
    lane.submit(pattern("p"), occurrence("p", 1.0, backfilled=True))
    assert lane.settle() == []
    assert "too_late" not in lane.lane.counts


def test_audio_that_is_let_go_for_other_streams_is_counted(make: Make) -> None:
    lane = make(streams=1)
    lane.submit(*frames(1.0), *frames(1.0, stream="other"))
    assert reasons(lane.settle()) == ["streams"]


def test_an_exemplar_whose_stream_breaks_off_is_cut_as_far_as_it_goes(make: Make) -> None:
    lane = make()
    lane.submit(*frames(1.0))
    show(lane, "p", at_s=0.8)
    assert not lane.lane.busy
    lane.submit(StreamEnd("mic", RATE, 0))  # without a frame that was said to be the last
    lane.submit(*frames(1.0, start_s=1.0))
    assert texts(lane.settle()) == [("p", f"{round(0.3 * RATE)} samples")]


def test_an_exemplar_of_which_nothing_was_heard_before_its_stream_broke_off_is_counted(
    make: Make,
) -> None:
    lane = make()
    lane.submit(*frames(1.0))
    show(lane, "p", at_s=1.05)
    lane.submit(StreamEnd("mic", RATE, 0))
    assert reasons(lane.settle()) == ["too_late"]
    lane.submit(pattern("p"))  # the occurrence that was missed is not waited for any more
    assert not lane.lane.busy
    lane.submit(*frames(2.0, start_s=1.0))
    show(lane, "p", at_s=2.0)
    assert [name for name, _ in texts(lane.settle())] == ["p"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("no"), "model"),
        (MemoryError(), "memory"),
        (RuntimeError("CUDA out of memory"), "memory"),
        (SystemExit(), "model"),
        (ValueError("what"), "validation"),
    ],
)
def test_a_model_that_raises_is_a_failure_of_that_pattern_only(
    make: Make, error: BaseException, reason: str
) -> None:
    lane = make()

    def fail(_clip: Floats) -> str:
        raise error

    lane.model.say = fail
    lane.submit(*frames(5.0))
    show(lane, "p")
    (failure,) = lane.settle()
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.reason, failure.start_s) == ("describe", reason, 1.0)
    assert failure.detail.startswith("teller: p: ")
    lane.model.say = lambda _clip: "well"
    show(lane, "q", at_s=2.0)
    assert texts(lane.settle()) == [("q", "well")]


def test_a_model_that_says_nothing_has_failed(make: Make) -> None:
    lane = make(keep=lambda name, _clip: f"{name}.flac")
    lane.model.say = lambda _clip: " \n"
    lane.submit(*frames(2.0))
    show(lane, "p")
    kept, failure = lane.settle()
    assert isinstance(failure, Failure)
    assert failure.detail == "teller: p: it said nothing"
    assert kept == Description("mic", "p", "", "", 1.0, 1.5, 10**9, "p.flac")


def test_what_failed_is_tried_again_at_a_later_occurrence(make: Make) -> None:
    lane = make(retry_s=2.0)
    lane.model.say = lambda _clip: ""
    lane.submit(*frames(6.0))
    show(lane, "p")
    assert reasons(lane.settle()) == ["model"]
    lane.model.say = lambda _clip: "well"
    show(lane, "p", at_s=2.0)
    assert lane.settle() == []
    show(lane, "p", at_s=3.5)
    assert texts(lane.settle()) == [("p", "well")]


def test_a_model_that_keeps_failing_is_left_alone_until_the_breaker_tries_it(make: Make) -> None:
    config = BreakerConfig(minimum_number_of_calls=2, permitted_calls_in_half_open=1)
    lane = make(breaker=config, queue=8)
    lane.model.say = lambda _clip: ""
    lane.submit(*frames(10.0))
    show(lane, "a", "b", "c", apart_s=1.0)
    out = lane.settle()
    assert reasons(out) == ["model", "model"]
    assert changes(out) == ["open"]
    assert lane.lane.waiting == 1
    assert not lane.lane.busy  # nobody waits for a breaker
    assert lane.lane.drain(0.0) == []
    lane.utc.now_s += 10.0
    lane.model.say = lambda _clip: "well"
    out = lane.settle()
    assert changes(out) == ["half_open", "closed"]
    assert texts(out) == [("c", "well")]


def test_a_call_past_its_deadline_opens_the_breaker_and_its_answer_is_thrown_away(
    make: Make,
) -> None:
    lane = make(deadline_s=5.0)
    lane.model.released.clear()
    lane.submit(*frames(5.0))
    show(lane, "p", "q", apart_s=1.0)
    lane.lane.poll()
    assert lane.model.entered.acquire(timeout=30)
    lane.clock.now_s += 5.1
    out = lane.lane.poll()
    assert reasons(out) == ["timeout"]
    assert changes(out) == ["open"]
    assert "deadline of 5 s" in next(o.detail for o in out if isinstance(o, Failure))
    (behind,) = words(lane).slot._behind
    lane.model.released.set()
    assert behind.finished.wait(30)
    lane.utc.now_s += 10.0
    assert texts(lane.settle()) == [("q", f"{round(0.7 * RATE)} samples")]


def test_a_call_that_came_back_late_before_anybody_looked_is_late_all_the_same(make: Make) -> None:
    lane = make(deadline_s=5.0)

    def slow(_clip: Floats) -> str:
        lane.clock.now_s += 6.0
        return "late"

    lane.model.say = slow
    lane.submit(*frames(3.0))
    show(lane, "p")
    out = lane.settle()
    assert reasons(out) == ["timeout"]
    assert changes(out) == ["open"]
    assert texts(out) == []


def test_where_too_many_calls_hang_the_lane_rests_says_so_once_and_comes_back(make: Make) -> None:
    lane = make(deadline_s=5.0, max_abandoned=2, queue=8)
    lane.model.released.clear()
    lane.submit(*frames(20.0))
    show(lane, *"abcdef", apart_s=1.0)
    out = lane.lane.poll()
    for _ in range(2):
        assert lane.model.entered.acquire(timeout=30)
        lane.clock.now_s += 5.1
        out += lane.lane.poll()
        lane.utc.now_s += 300.0
        out += lane.lane.poll()
    assert reasons(out) == ["timeout", "timeout", "restart_needed"]
    assert "2 calls hang" in [o.detail for o in out if isinstance(o, Failure)][-1]
    assert not lane.lane.busy
    assert lane.lane.drain(60.0) == []
    assert len(lane.model.heard) == 2
    hanging = list(words(lane).slot._behind)
    lane.model.released.set()
    assert all(call.finished.wait(30) for call in hanging)
    lane.utc.now_s += 300.0
    assert {name for name, _ in texts(lane.settle())} == set("cdef")


def test_clips_are_kept_without_a_model_too(make: Make) -> None:
    kept: dict[str, Floats] = {}

    def keep(name: str, clip: Floats) -> str:
        kept[name] = clip
        return f"{name}.flac"

    lane = make(modelless=True, keep=keep, every_s=10.0)
    lane.submit(*frames(5.0))
    show(lane, "p")
    assert lane.settle() == [Description("mic", "p", "", "", 1.0, 1.5, 10**9, "p.flac")]
    assert kept["p"].dtype == np.float32
    assert kept["p"].size == round(0.7 * RATE)
    show(lane, "p", at_s=3.0)
    assert lane.settle() == []
    assert lane.lane.counts["kept"] == 1


def test_a_clip_that_cannot_be_kept_is_told_and_the_pattern_described_all_the_same(
    make: Make,
) -> None:
    def full(_name: str, _clip: Floats) -> str:
        raise OSError(28, "No space left on device")

    lane = make(keep=full)
    lane.submit(*frames(2.0))
    show(lane, "p")
    failure, told = lane.settle()
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.reason) == ("clips", "system")
    assert "free space" in failure.remedy
    assert isinstance(told, Description)
    assert (told.text != "", told.clip) == (True, "")


def test_a_clip_that_hangs_without_a_model_is_late_too(make: Make) -> None:
    model = Model()
    model.released.clear()
    lane = make(model, modelless=True, keep=lambda _n, clip: model.describe(clip, RATE))
    lane.submit(*frames(2.0))
    show(lane, "p")
    lane.lane.poll()
    lane.clock.now_s += 121.0
    out = lane.lane.poll()
    model.released.set()
    assert [(o.stage, o.reason) for o in out if isinstance(o, Failure)] == [("clips", "timeout")]
    assert changes(out) == []


def test_speech_is_neither_kept_nor_described_and_counted(make: Make) -> None:
    kept: list[str] = []

    def keep(name: str, _clip: Floats) -> str:
        kept.append(name)
        return name

    spoken = [True]
    config = BreakerConfig(minimum_number_of_calls=1, permitted_calls_in_half_open=1)
    lane = make(keep=keep, is_speech=lambda _clip: spoken[0], breaker=config)
    lane.submit(*frames(5.0))
    show(lane, "p")
    assert lane.settle() == []
    assert (kept, lane.model.heard, lane.lane.counts["speech"]) == ([], [], 1)
    spoken[0] = False
    lane.submit(pattern("p"))  # still the same occurrence
    assert not lane.lane.busy
    show(lane, "p", at_s=2.0)  # somebody spoke over it only then
    assert [text for _, text in texts(lane.settle())] == ["", "30870 samples"]
    assert kept == ["p"]


def test_a_clip_that_cannot_be_judged_is_taken_for_speech(make: Make) -> None:
    def broken(_clip: Floats) -> bool:
        raise RuntimeError("no network")

    lane = make(keep=lambda name, _clip: name, is_speech=broken)
    lane.submit(*frames(2.0))
    show(lane, "p")
    (failure,) = lane.settle()
    assert isinstance(failure, Failure)
    assert failure.stage == "speech"
    assert lane.model.heard == []


def test_speech_asks_no_leave_of_the_breaker(make: Make) -> None:
    spoken = [False]
    config = BreakerConfig(minimum_number_of_calls=1, permitted_calls_in_half_open=1)
    lane = make(breaker=config, is_speech=lambda _clip: spoken[0])
    lane.model.say = lambda _clip: ""
    lane.submit(*frames(9.0))
    show(lane, "a")
    assert changes(lane.settle()) == ["open"]
    lane.utc.now_s += 10.0
    spoken[0] = True
    show(lane, "b", at_s=2.0)
    assert lane.settle() == []
    assert lane.lane.breaker.state == "open"
    spoken[0], lane.model.say = False, lambda _clip: "well"
    show(lane, "c", at_s=4.0)
    assert changes(lane.settle()) == ["half_open", "closed"]


def test_a_restart_goes_on_with_what_was_described_and_the_breaker_open(make: Make) -> None:
    config = BreakerConfig(minimum_number_of_calls=1)
    lane = make(breaker=config)
    lane.submit(*frames(5.0))
    show(lane, "a")
    lane.settle()
    lane.model.say = lambda _clip: ""
    show(lane, "b", at_s=2.0)
    assert changes(lane.settle()) == ["open"]
    again = make(breaker=config)
    again.lane.restore(lane.lane.snapshot())
    assert again.lane.breaker.state == "open"
    again.submit(*frames(2.0, start_s=400.0))
    again.submit(occurrence("a", 400.5), occurrence("b", 400.5))
    assert again.lane.waiting == 1  # "a" was described, "b" was not
    assert again.settle() == []
    again.utc.now_s += 10.0
    assert [name for name, _ in texts(again.settle())] == ["b"]


def test_another_model_speaks_of_all_again(make: Make) -> None:
    lane = make()
    lane.submit(*frames(2.0))
    show(lane, "a")
    lane.settle()
    model = Model()
    model.name = "other"
    again = make(model)
    again.lane.restore(lane.lane.snapshot())
    again.submit(*frames(2.0, start_s=4.0), occurrence("a", 5.0))
    assert len(texts(again.settle())) == 1


def test_a_snapshot_of_another_version_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="version 9, expected 1"):
        make().lane.restore({"version": 9})


def test_what_still_waits_at_the_end_is_told_once(make: Make) -> None:
    lane = make(queue=1)
    lane.model.released.clear()
    lane.submit(*frames(9.0))
    show(lane, "a")
    lane.lane.poll()
    show(lane, "b", "c", at_s=3.0, apart_s=1.0)
    (line,) = lane.lane.close()
    assert isinstance(line, Failure)
    assert (line.reason, line.detail[-3:]) == ("shutdown", ": 3")
    assert not lane.lane.busy
    assert lane.lane.close() == []
    with pytest.raises(RuntimeError, match="closed"):
        lane.submit(*frames(1.0))


def test_draining_waits_for_what_is_under_way_and_no_longer_than_it_may(make: Make) -> None:
    model = Model()
    lane = Describing(model, DescribeConfig())
    lane.submit([*frames(4.0), pattern("p"), occurrence("p", 1.0)])
    assert len(lane.drain(30.0)) == 1
    model.released.clear()
    lane.submit([pattern("q"), occurrence("q", 2.0)])
    began = time.monotonic()
    assert lane.drain(0.01) == []
    assert lane.busy
    assert time.monotonic() - began < 20.0
    model.released.set()
    assert len(lane.drain(30.0)) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("queue", 0),
        ("streams", 0),
        ("patterns", 0),
        ("max_abandoned", 0),
        ("longest_text", 0),
        ("every_s", -1.0),
        ("retry_s", float("nan")),
        ("pad_s", -0.1),
        ("drain_s", -1.0),
        ("keep_deadline_s", 0.0),
        ("tell_every_s", float("inf")),
        ("keep_s", 0.0),
        ("longest_s", 0.0),
        ("deadline_s", float("inf")),
    ],
)
def test_a_bound_that_could_not_work_is_refused_by_name(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"describe {key} = "):
        DescribeConfig(**{key: value})


def test_a_call_within_its_deadline_is_never_slow_for_the_breaker() -> None:
    config = DescribeConfig(deadline_s=500.0)
    assert config.patient_breaker.slow_call_duration_s == 500.0
    assert config.patient_breaker.trial_timeout_s == 1_000.0


def clips_told(out: list[Any]) -> list[tuple[str, str]]:
    return [(o.pattern, o.clip) for o in out if isinstance(o, Description) and not o.text]


def test_a_clip_is_told_of_before_the_model_has_answered_and_with_the_words_again(
    make: Make,
) -> None:
    lane = make(keep=lambda name, _clip: f"{name}.flac")
    lane.submit(*frames(3.0))
    show(lane, "p")
    kept, told = lane.settle()
    assert kept == Description("mic", "p", "", "", 1.0, 1.5, 10**9, "p.flac")
    assert told == Description("mic", "p", "30870 samples", "teller", 1.0, 1.5, 10**9, "p.flac")
    assert lane.lane.counts["kept"] == lane.lane.counts["described"] == 1


def test_clips_are_kept_while_the_breaker_of_the_model_is_open(make: Make) -> None:
    kept: list[str] = []

    def keep(name: str, _clip: Floats) -> str:
        kept.append(name)
        return f"{name}.flac"

    config = BreakerConfig(minimum_number_of_calls=1, sliding_window_calls=1)
    lane = make(keep=keep, breaker=config, queue=2)
    lane.model.say = lambda _clip: ""
    names = [f"p{k}" for k in range(6)]
    lane.submit(*frames(12.0))
    out = []
    for k, name in enumerate(names):
        show(lane, name, at_s=0.5 + 2.0 * k)
        out += lane.settle()
    assert lane.lane.breaker.state == "open"
    assert len(lane.model.heard) == 1
    assert kept == names
    assert clips_told(out) == [(name, f"{name}.flac") for name in names]


def test_a_call_left_behind_leaves_its_clip_told_of(make: Make) -> None:
    lane = make(keep=lambda name, _clip: f"{name}.flac", deadline_s=5.0)
    lane.model.released.clear()
    lane.submit(*frames(3.0))
    show(lane, "p")
    out = lane.lane.poll()
    while not lane.model.heard:
        out += lane.lane.poll()
    lane.clock.now_s += 5.1
    out += lane.lane.poll()
    assert clips_told(out) == [("p", "p.flac")]
    assert reasons(out) == ["timeout"]


def test_clips_are_kept_while_calls_of_the_model_hang(make: Make) -> None:
    lane = make(keep=lambda name, _clip: f"{name}.flac", deadline_s=5.0, max_abandoned=1)
    lane.model.released.clear()
    lane.submit(*frames(9.0))
    show(lane, "p")
    while not lane.model.heard:
        lane.lane.poll()
    lane.clock.now_s += 5.1
    assert reasons(lane.lane.poll()) == ["timeout", "restart_needed"]
    show(lane, "q", "r", at_s=3.0, apart_s=1.0)
    assert clips_told(lane.settle()) == [("q", "q.flac"), ("r", "r.flac")]


def test_a_pattern_that_waits_for_words_is_kept_once_and_not_at_each_occurrence(
    make: Make,
) -> None:
    kept: list[str] = []

    def keep(name: str, _clip: Floats) -> str:
        kept.append(name)
        return name

    lane = make(keep=keep, retry_s=0.0, every_s=60.0, keep_s=60.0)
    lane.model.say = lambda _clip: ""
    lane.submit(*frames(20.0))
    for k in range(5):
        show(lane, "p", at_s=1.0 + 2 * k)
        lane.settle()
    assert len(lane.model.heard) == 5
    assert kept == ["p"]


def test_a_clip_whose_call_comes_back_late_is_told_of_all_the_same(make: Make) -> None:
    disk = Model()
    disk.released.clear()

    def keep(name: str, clip: Floats) -> str:
        disk.describe(clip, RATE)
        return f"{name}.flac"

    lane = make(modelless=True, keep=keep)
    lane.submit(*frames(3.0))
    show(lane, "p")
    lane.lane.poll()
    assert disk.entered.acquire(timeout=30)
    lane.clock.now_s += 31.0
    assert reasons(lane.lane.poll()) == ["timeout"]
    (behind,) = words(lane).slot._behind
    disk.released.set()
    assert behind.finished.wait(30)
    assert clips_told(lane.lane.poll()) == [("p", "p.flac")]


def test_what_is_not_judged_in_time_is_taken_for_speech(make: Make) -> None:
    judge = Model()
    judge.released.clear()
    lane = make(is_speech=lambda clip: not judge.describe(clip, RATE))
    lane.submit(*frames(3.0))
    show(lane, "p")
    lane.lane.poll()
    assert judge.entered.acquire(timeout=30)
    lane.clock.now_s += 31.0
    out = lane.settle()
    judge.released.set()
    assert [(o.stage, o.reason) for o in out if isinstance(o, Failure)] == [("speech", "timeout")]
    assert lane.model.heard == []


def busy_end(lane: Lane, patterns: int) -> list[str]:
    """A run ends behind a model that was busy while many patterns were found."""
    names = [f"p{k}" for k in range(patterns)]
    lane.model.released.clear()
    lane.submit(*frames(patterns + 10.0))
    for k, name in enumerate(names):
        lane.submit(occurrence(name, 1.0 + k), pattern(name))
        lane.lane.poll()
    lane.model.released.set()
    return names


def test_the_end_of_a_run_waits_for_words_within_one_bound_and_counts_the_rest(
    make: Make,
) -> None:
    lane = make(drain_s=60.0)
    looked = threading.Event()

    def slow(_clip: Floats) -> str:
        assert looked.wait(20)  # one call for each look at the clock, however busy the machine
        looked.clear()
        lane.clock.now_s += 10.0
        return "well"

    def stopped() -> bool:
        looked.set()
        return False

    lane.model.say = slow
    busy_end(lane, 50)
    out = list(lane.lane.finish(stopped))
    described = len(texts(out))
    assert 6 <= described <= 7
    assert len(lane.model.heard) <= described + 1
    assert [o.detail[-4:] for o in out if isinstance(o, Failure)] == [f": {50 - described}"]
    assert reasons(out) == ["shutdown"]


def test_the_end_of_a_run_takes_up_what_gave_way_while_there_is_time(make: Make) -> None:
    lane = make(queue=2)
    names = busy_end(lane, 20)
    out = list(lane.lane.finish())
    assert sorted(name for name, _ in texts(out)) == sorted(names)
    assert reasons(out) == []


def test_at_the_end_of_a_run_clips_are_kept_although_no_words_are_waited_for(make: Make) -> None:
    lane = make(keep=lambda name, _clip: name, queue=2, drain_s=0.0)
    lane.model.released.clear()
    names = [f"p{k}" for k in range(20)]
    lane.submit(*frames(30.0))
    show(lane, *names, apart_s=1.0)
    out = list(lane.lane.finish())
    assert sorted(name for name, _ in clips_told(out)) == sorted(names)
    assert reasons(out) == ["shutdown"]


def test_whoever_asked_to_stop_waits_for_nothing(make: Make) -> None:
    lane = make()
    lane.model.released.clear()
    lane.submit(*frames(3.0))
    show(lane, "p")
    lane.lane.poll()
    assert reasons(list(lane.lane.finish(lambda: True))) == ["shutdown"]


def test_of_many_exemplars_that_gave_way_only_so_many_are_remembered(make: Make) -> None:
    lane = make(queue=1)
    lane.model.released.clear()
    lane.submit(*frames(100.0))
    lane.lane._cutting._displaced["words"] = Displaced(10)
    for k in range(20):
        lane.submit(occurrence(f"p{k}", 1.0 + k), pattern(f"p{k}"))
    assert [at.pattern for at in lane.lane._cutting.displaced] == [f"p{k}" for k in range(9, 19)]
    assert lane.lane.counts["queue_full"] == 9


def test_one_that_gives_way_is_not_compared_with_all_that_did(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    keeps = Rings.keeps

    def look(self: Rings, stream: str, start: int, end: int, pad: int) -> bool:
        looked.append(stream)
        return keeps(self, stream, start, end, pad)

    monkeypatch.setattr(Rings, "keeps", look)
    lane = make(queue=1)
    lane.submit(*frames(100.0))
    for k in range(60):
        lane.submit(occurrence(f"p{k}", 1.0 + k), pattern(f"p{k}"))
    assert len(lane.lane._cutting.displaced) == len(looked) == 59
