"""The rules of inference without its threads: what to call next, and what a call changes.

Windows go to the rung that serves. A rung whose breaker has waited long enough is tried beside it,
on windows that the serving rung embeds all the same, so that a trial that hangs holds nothing up;
only where no rung serves is a trial made in earnest. A window whose call failed goes down to the
next rung that may take it, and is lost where there is none.

Invariant: at most one call a rung is under way that still counts, and no window waits for which
there is no rung. Each method leaves the state whole, so it can be saved between any two of them.
Not thread-safe: its owner holds the lock.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from operators import tracing
from operators.breaker import CLOSED, Clock, Permission
from operators.inference import outcomes, reports
from operators.inference.backlog import Backlog, Waiting
from operators.inference.batch import Call, Rows
from operators.inference.config import InferenceConfig
from operators.inference.interface import Embedder, Item, Output
from operators.inference.journal import Journal
from operators.inference.ladder import Ladder
from operators.inference.rung import Rung, RungState
from operators.records import Failure
from operators.recovery import Diagnosis

_VERSION = 2


class Dispatch:
    """State of one lane: its backlog, its rungs, and what was reported."""

    def __init__(
        self,
        models: Sequence[Embedder],
        config: InferenceConfig,
        *,
        is_live: Callable[[str], bool],
        utc: Clock,
        clock: Clock,
    ) -> None:
        self.config = config
        self.ladder = Ladder(models, config, utc=utc)
        self.backlog = Backlog(models[0].space, config.capacity, len(models))
        self._is_live = is_live
        self._utc = utc
        self._clock = clock
        self._journal = Journal()

    @property
    def ready(self) -> bool:
        """Whether something can go out now."""
        return self.backlog.ready or bool(self._journal.events)

    @property
    def unfinished(self) -> bool:
        """Whether something has yet to go out; trials beside do not count."""
        return not self.backlog.empty or bool(self._journal.events)

    @property
    def probing(self) -> bool:
        """Whether a rung is tried beside the one that serves."""
        return any(rung.call is not None and rung.call.probe for rung in self.ladder.rungs)

    @property
    def states(self) -> tuple[RungState, ...]:
        """How each rung is doing."""
        return tuple(
            rung.state(sum(self.backlog.waits(level) for level in self._levels(number)))
            for number, rung in enumerate(self.ladder.rungs)
        )

    def add(self, items: Iterable[Item]) -> None:
        """Take in what was submitted."""
        since_ns = self._now_ns()
        for item in items:
            for shed in self.backlog.add(item, live=self._is_live(item.stream), since_ns=since_ns):
                outcomes.shed(shed, self.ladder.names[0], since_ns)
        self._refuse_lost()

    def wants(self, number: int) -> bool:
        """Whether there is a call for this rung to begin."""
        rung = self.ladder.rungs[number]
        return rung.free and bool(rung.sample or self._levels(number))

    def begin(self, number: int) -> Call:
        """Take the next batch for a rung that ``wants`` one (so its breaker gives leave)."""
        rung = self.ladder.rungs[number]
        levels = self._levels(number)
        sample, rung.sample = rung.sample, []
        permission = rung.breaker.acquire()
        self._journal.note(permission.transitions, self.ladder)
        size = rung.cap.size
        taken = self.backlog.take(size, levels) if levels else sample[:size]
        rung.call = self._call(number, taken, permission, probe=not levels)
        for transition in permission.transitions:
            tracing.mark_transition(rung.call.span, transition)
        if permission.state == CLOSED:
            for above, tried in self.ladder.probed_beside(number):
                tried.sample = [each for each in taken if each.entry.rung <= above]
        return rung.call

    def claim(self, call: Call) -> bool:
        """A call returned: whether it still counts; then nobody abandons it any more."""
        call.returned = not call.abandoned
        if call.abandoned:
            self.ladder.rungs[call.rung].hanging -= 1
        return call.returned

    def finish(
        self, call: Call, answer: Rows | Diagnosis, fates: Sequence[outcomes.Fate], took_s: float
    ) -> bool:
        """Let a call that was claimed take effect.

        Args:
            call: as ``begin`` gave it.
            answer: what the model returned.
            fates: of its windows (not used where the batch is to be halved).
            took_s: how long it took.

        Returns:
            False for a call that was abandoned before: it changes nothing.
        """
        rung = self.ladder.rungs[call.rung]
        if call.abandoned:
            rung.hanging -= 1
            return False
        if outcomes.too_large(call, answer):
            rung.cap.out_of_memory(len(call.taken))
            rung.breaker.release(call.permission)
            if not call.probe:
                self.backlog.put_back(call.taken)
        else:
            self._settle(call, answer, fates)
            self._judge(call, answer, took_s)
        self._end(call, answer)
        return True

    def expire(self) -> list[int]:
        """Abandon the calls that are past their deadline; the numbers of their rungs."""
        return [number for number, rung in enumerate(self.ladder.rungs) if self._expire(rung)]

    def shut(self) -> None:
        """Decide all that is undecided: dead, because of the shutdown."""
        for rung in self.ladder.rungs:
            if (call := rung.call) is not None:
                call.abandoned = True
                rung.hanging += 1
                for waiting in () if call.probe else call.taken:
                    self._refuse(waiting, "shutdown")
                call.span.end()
                rung.call = None
            rung.sample = []
        for waiting in self.backlog.take_all():
            self._refuse(waiting, "shutdown")

    def release(self) -> tuple[list[Output], int]:
        """What can go out now, events first, and how many open windows are among it."""
        results, opened = self.backlog.release()
        return [*self._journal.read(), *results], opened

    def save(self) -> dict[str, Any]:
        """Versioned plain state; records and arrays are shared."""
        return {
            "version": _VERSION,
            "entries": self.backlog.save(),
            "rungs": self.ladder.save(),
            **self._journal.save(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state, on a fresh instance; also of a ladder that was changed since.

        Raises:
            ValueError: it has another version.
        """
        if state.get("version") != _VERSION:
            raise ValueError(
                f"inference {self.ladder.names[0]}: state version {state.get('version')}, "
                f"expected {_VERSION}"
            )
        same = self.ladder.load(state["rungs"])
        self._journal.load(state)
        entries = [
            (window, results, opened, level if same else 0)
            for window, results, opened, level in state["entries"]
        ]
        self.backlog.load(entries, is_live=self._is_live, since_ns=self._now_ns())
        self._refuse_lost()

    def _levels(self, number: int) -> list[int]:
        """Where the windows wait that this rung is to embed now."""
        levels = (level for level in range(number + 1) if self.backlog.waits(level))
        return [level for level in levels if self.ladder.target(level) == number]

    def _call(
        self, number: int, taken: list[Waiting], permission: Permission, *, probe: bool
    ) -> Call:
        span = outcomes.batch_span(self.ladder.names[number], taken, permission.state)
        return Call(number, probe, taken, permission, span, self._clock(), self._now_ns())

    def _expire(self, rung: Rung) -> bool:
        call = rung.call
        if call is None or call.returned:
            return False
        took_s = self._clock() - call.started_s
        if took_s <= self.config.deadline_s:
            return False
        call.abandoned = True
        rung.hanging += 1
        diagnosis = reports.late(self.config.deadline_s)
        outcomes.trace_failure(call, diagnosis, rung.model.name)
        self._settle(call, diagnosis, outcomes.settle(call, diagnosis, rung.model, took_s=took_s))
        self._judge(call, diagnosis, took_s)
        if rung.hanging >= self.config.max_abandoned:
            rung.stuck = True
            report = reports.restart_needed(
                rung.model.name, call.windows[0], rung.hanging, self.config.deadline_s
            )
            self._journal.events.append(report)
        self._end(call, diagnosis)
        return True

    def _settle(self, call: Call, answer: Rows | Diagnosis, fates: Sequence[outcomes.Fate]) -> None:
        """Decide the windows of a call; those that failed go down where a rung may take them."""
        below = call.rung + 1
        heir = self.ladder.target(below)
        name = "" if heir is None else self.ladder.names[heir]
        report = outcomes.report(call, answer, self.ladder.names[call.rung], name)
        said = (report,) if report is not None else ()
        for fate in fates:
            if fate.embedding is not None:
                self.backlog.decide(fate.waiting.entry, fate.embedding)
                continue
            if heir is None:
                self.backlog.bury(fate.waiting, fate.fault, *said)
            else:
                self.backlog.lower(fate.waiting, below, said)
            said = ()

    def _judge(self, call: Call, answer: Rows | Diagnosis, took_s: float) -> None:
        """Tell the breaker; a call none of whose rows can be used has failed, a late one trips."""
        rung = self.ladder.rungs[call.rung]
        if isinstance(answer, Diagnosis):
            ok = False
            self._journal.trouble = answer
        else:
            ok = not all(answer.faults)
            if not ok:
                self._journal.trouble = reports.unusable(len(call.taken))
            rung.cap.fitted(len(call.taken))
        late = took_s > self.config.deadline_s
        breaker, leave = rung.breaker, call.permission
        changes = breaker.trip(leave) if late else breaker.record(leave, took_s, ok)
        self._journal.note(changes, self.ladder)
        for transition in changes:
            tracing.mark_transition(call.span, transition)

    def _end(self, call: Call, answer: Rows | Diagnosis) -> None:
        if isinstance(answer, Diagnosis):
            tracing.mark_error(call.span, answer.error_class, answer.detail)
        call.span.end()
        self.ladder.rungs[call.rung].call = None
        self._refuse_lost()

    def _refuse_lost(self) -> None:
        """Windows that no rung takes are dead; each stream is told once an opening."""
        ladder = self.ladder
        for level in range(len(ladder.rungs)):
            if not self.backlog.waits(level) or ladder.target(level) is not None:
                continue
            if ladder.stuck(level):
                for waiting in self.backlog.take_all((level,)):
                    self._refuse(waiting, "restart_needed")
            for waiting in self.backlog.take_all((level,)):
                said = self._journal.refused(
                    ladder.names[level:], waiting.window, ladder.wait_s(level)
                )
                self._refuse(waiting, "breaker_open", *said)

    def _refuse(self, waiting: Waiting, reason: str, *said: Failure) -> None:
        """No model takes a window any more: it is dead, and traced as what failed is."""
        outcomes.refused(waiting, self.ladder.names[0], reason, self._now_ns())
        self.backlog.bury(waiting, reason, *said)

    def _now_ns(self) -> int:
        return round(self._utc() * 1e9)
