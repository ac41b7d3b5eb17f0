"""The rules of a ladder against everything that models do, in every order, with restarts."""

import pickle
from collections import defaultdict

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from operators.breaker import BreakerConfig
from operators.inference import InferenceConfig, outcomes, reports
from operators.inference.batch import Call, attempt
from operators.inference.dispatch import Dispatch
from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    RungChange,
    StreamEnd,
    Verdict,
    Window,
)

DEADLINE_S = 30.0
CONFIG = InferenceConfig(
    capacity=3,
    max_batch=3,
    deadline_s=DEADLINE_S,
    max_abandoned=3,
    growth_calls=1,
    breaker=BreakerConfig(
        sliding_window_calls=3,
        minimum_number_of_calls=2,
        wait_duration_in_open_s=10.0,
        wait_cap_s=40.0,
        permitted_calls_in_half_open=2,
        trial_timeout_s=2 * DEADLINE_S,
    ),
)
MOODS = st.sampled_from(
    ["well", "well", "raises", "memory", "one bad row", "nan", "shape", "count", "late", "hangs"]
)
GATES = st.lists(st.sampled_from(["open", "open", "open", "silent"]), min_size=1, max_size=5)
STREAMS = st.sampled_from(["mic", "file"])


class Moody:
    """A model that answers as its mood is; a good row names its window."""

    dimension = 2

    def __init__(self, name: str, mood: str) -> None:
        self.name = name
        self.space = f"{name}-00000000-2"
        self.mood = mood

    def embed(self, windows, rate_hz=None):
        rows = np.ones((len(windows), 2), np.float32)
        rows[:, 0] = windows[:, 0]
        match self.mood:
            case "raises":
                raise RuntimeError("boom")
            case "memory":
                raise MemoryError
            case "one bad row":
                rows[0] = 0.0
            case "nan":
                rows[:] = np.nan
            case "shape":
                return rows[:, :1]
            case "count":
                return rows[1:]
        return rows


def fails(mood: str, position: int) -> bool:
    """Whether a call in this mood fails on the window at this position of its batch."""
    return mood not in {"well", "one bad row"} or (mood == "one bad row" and position == 0)


def is_live(stream: str) -> bool:
    return stream == "mic"


class LadderUnderFire(RuleBasedStateMachine):
    @initialize(moods=st.lists(MOODS, min_size=1, max_size=3))
    def start(self, moods: list[str]) -> None:
        self.now = 1_000.0
        names = ("first", "second", "third")
        self.models = [Moody(name, mood) for name, mood in zip(names, moods, strict=False)]
        self.dispatch = self.fresh()
        self.calls: dict[int, Call] = {}
        self.hanging: list[Call] = []
        self.came: list[tuple[str, int]] = []
        self.left: list[tuple[str, int]] = []
        self.windows: dict[int, Window] = {}
        self.failed_on: dict[int, list[int]] = defaultdict(list)
        self.served_by: dict[int, str] = {}
        self.events: list[object] = []
        self.taken = self.paid = 0

    def fresh(self) -> Dispatch:
        def clock() -> float:
            return self.now

        return Dispatch(self.models, CONFIG, is_live=is_live, utc=clock, clock=clock)

    @rule(rung=st.integers(0, 2), mood=MOODS)
    def a_mood_changes(self, rung: int, mood: str) -> None:
        self.models[rung % len(self.models)].mood = mood

    @rule(stream=STREAMS, gates=GATES, samples=st.sampled_from([4, 4, 6]))
    def submit(self, stream: str, gates: list[str], samples: int) -> None:
        for gate in gates:
            number = len(self.came)
            audio = np.full(samples if gate == "open" else 0, number, np.float32)
            window = Window(stream, number, number, audio, 1.0, False, -20.0, gate)  # type: ignore[arg-type]  # literals
            self.windows[number] = window
            self.came.append((stream, number))
            self.taken += gate == "open" and not is_live(stream)
            self.dispatch.add([window])

    @rule(stream=STREAMS)
    def end(self, stream: str) -> None:
        number = len(self.came)
        self.came.append((stream, number))
        self.dispatch.add([StreamEnd(stream, number, 0)])

    @rule(rungs=st.permutations([0, 1, 2]))
    def threads_begin(self, rungs: list[int]) -> None:
        for rung in rungs:
            if rung < len(self.models) and self.dispatch.wants(rung):
                self.begin_on(rung)

    def begin_on(self, rung: int) -> None:
        served = [id(w) for call in self.calls.values() if not call.probe for w in call.windows]
        call = self.dispatch.begin(rung)
        assert call.permission.allowed
        assert rung not in self.calls
        assert call.rung == rung
        assert 1 <= len(call.windows) <= CONFIG.max_batch
        assert len({len(window.samples) for window in call.windows}) == 1
        level = min(waiting.entry.rung for waiting in call.taken)
        if call.permission.state != "closed" and not call.probe:  # only where nobody serves
            assert not any(each.serves for each in self.dispatch.ladder.rungs[level:])
        for window in call.windows:
            assert rung not in self.failed_on[window.index]  # once a rung
            if not call.probe:
                assert all(rung > above for above in self.failed_on[window.index])  # only down
                assert id(window) not in served
                assert window.index not in self.served_by
        self.calls[rung] = call

    @rule(rungs=st.permutations([0, 1, 2]))
    def models_answer(self, rungs: list[int]) -> None:
        for rung in rungs:
            if rung in self.calls and self.models[rung].mood != "hangs":
                self.finish_on(rung)

    @rule(gates=GATES, rounds=st.integers(1, 4), seconds=st.sampled_from([0, 6, 12, 45]))
    def all_of_it_goes_on_for_a_while(self, gates: list[str], rounds: int, seconds: int) -> None:
        for _ in range(rounds):
            self.submit("file", gates, 4)
            self.threads_begin([0, 1, 2])
            self.models_answer([2, 1, 0])
            self.now += seconds
            self.look_at_the_deadlines()
            self.threads_begin([2, 1, 0])
            self.release()

    def finish_on(self, rung: int) -> None:
        call = self.calls.pop(rung)
        model = self.models[rung]
        mood = model.mood
        answer = attempt(model, call.windows)
        took_s = 0.5
        if mood == "late":
            answer, took_s = reports.late(DEADLINE_S), DEADLINE_S + 1
        if not outcomes.too_large(call, answer) and not call.probe:
            for k, window in enumerate(call.windows):
                if fails(mood, k):
                    self.failed_on[window.index].append(rung)
                else:
                    self.served_by[window.index] = model.space
        fates = outcomes.settle(call, answer, model, took_s=took_s)
        assert self.dispatch.finish(call, answer, fates, took_s)

    @rule(seconds=st.sampled_from([1, 5, 11, 31]))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def look_at_the_deadlines(self) -> None:
        due = [rung for rung, call in self.calls.items() if self.now - call.started_s > DEADLINE_S]
        assert sorted(self.dispatch.expire()) == sorted(due)
        for rung in due:
            call = self.calls.pop(rung)
            self.hanging.append(call)
            assert self.dispatch.ladder.rungs[rung].breaker.state == "open"
            for window in () if call.probe else call.windows:
                self.failed_on[window.index].append(rung)

    @rule()
    def a_hanging_call_returns(self) -> None:
        if not self.hanging:
            return
        call = self.hanging.pop()
        answer = attempt(self.models[call.rung], call.windows)
        assert not self.dispatch.finish(call, answer, [], 99.0)

    @rule()
    def release(self) -> None:
        out, opened = self.dispatch.release()
        self.paid += opened
        for item in out:
            match item:
                case BreakerTransition() | RungChange():
                    self.events.append(item)
                case StreamEnd():
                    self.left.append((item.stream, item.index))
                case Embedding() | Verdict():
                    self.left.append((item.stream, item.index))
                    self.check(item)
                case Failure():
                    assert "\n" not in item.detail + item.remedy

    def check(self, item: Embedding | Verdict) -> None:
        if isinstance(item, Embedding):
            assert item.vector[0] == item.index
            assert item.space == self.served_by[item.index]
            return
        window = self.windows[item.index]
        assert item.space == self.models[0].space
        assert item.index not in self.served_by
        if window.gate != "open":
            assert (item.verdict, item.reason) == (window.gate, "")
        elif item.verdict == "shed":
            assert (item.stream, item.reason) == ("mic", "queue_full")
        elif item.reason not in {"breaker_open", "restart_needed"}:
            assert self.failed_on[item.index]
            assert item.verdict == "dead"

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        """Also amid calls: what was in flight is called again, on rungs it has not failed on."""
        state = pickle.loads(pickle.dumps(self.dispatch.save()))  # noqa: S301 - our own bytes
        if kill:
            self.dispatch = self.fresh()
            self.dispatch.load(state)
            self.calls, self.hanging = {}, []

    @invariant()
    def everything_leaves_once_and_in_order(self) -> None:
        assert self.left == self.came[: len(self.left)]
        waiting = self.came[len(self.left) :]
        assert self.dispatch.backlog.windows == sum(number in self.windows for _, number in waiting)
        assert self.dispatch.backlog.open_windows == self.taken - self.paid

    @invariant()
    def nothing_waits_for_nobody(self) -> None:
        backlog, ladder = self.dispatch.backlog, self.dispatch.ladder
        for level in range(len(self.models)):
            assert not backlog.waits(level) or ladder.target(level) is not None
        if backlog.waiting and not self.calls:
            assert any(self.dispatch.wants(rung) for rung in range(len(self.models)))

    @invariant()
    def a_trial_beside_holds_nothing_up(self) -> None:
        backlog = self.dispatch.backlog
        if not backlog.waiting and all(call.probe for call in self.calls.values()):
            assert backlog.empty or backlog.ready

    @invariant()
    def live_windows_that_wait_are_bounded(self) -> None:
        saved = self.dispatch.save()["entries"]
        in_flight = {w.index for call in self.calls.values() for w in call.windows}
        live = [w for w, *_ in saved if w is not None and is_live(w.stream)]
        allowed = CONFIG.capacity + CONFIG.max_batch * len(self.models)  # put back, or lowered
        assert sum(w.index not in in_flight for w in live) <= allowed

    @invariant()
    def changes_form_unbroken_chains(self) -> None:
        breakers = {model.name: "closed" for model in self.models}
        serving = self.models[0].name
        for event in [*self.events, *self.dispatch.save()["events"]]:
            if isinstance(event, BreakerTransition):
                assert event.from_state == breakers[event.name]
                breakers[event.name] = event.to_state
            elif isinstance(event, RungChange):
                assert (event.ladder, event.from_model) == (self.models[0].name, serving)
                serving = event.to_model
        rungs = {rung.model.name: rung.breaker.state for rung in self.dispatch.ladder.rungs}
        assert breakers == rungs
        if len(self.models) > 1:
            assert serving == self.dispatch.ladder.serving

    def teardown(self) -> None:
        """All that came leaves, once every model is well again or has hung too often."""
        if not hasattr(self, "dispatch"):
            return
        for _ in range(4 * len(self.came) + 40):
            self.release()
            for rung in list(self.calls):
                self.models[rung].mood = "well"
                self.finish_on(rung)
            for rung in range(len(self.models)):
                if self.dispatch.wants(rung):
                    self.begin_on(rung)
        self.release()
        assert self.left == self.came
        assert self.dispatch.backlog.open_windows == 0


TestLadderUnderFire = LadderUnderFire.TestCase
TestLadderUnderFire.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
