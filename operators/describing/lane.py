"""The slow lane as an operator: what is heard and found goes in, remarks come out some time later.

One exemplar at a time is judged, kept and described, on a thread of its own: a call takes as long
as it takes and holds up nothing. One that goes past its deadline opens the breaker at once and is
left behind; where too many are, the lane rests until one of them comes back. The flow never ends
because of it.

Invariant: the state belongs to the caller's thread; a call's thread touches its own call only. The
audio kept, the exemplars waiting, the patterns known and the threads are bounded, and whatever is
dropped is counted. Nothing but ``drain`` waits.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, TypeAlias

from operators.breaker import Breaker, Clock
from operators.describing import reports
from operators.describing.config import DescribeConfig
from operators.describing.cutting import Cutting, Item
from operators.describing.exemplar import (
    Answer,
    Describer,
    Exemplar,
    IsSpeech,
    Keep,
    Stage,
    attempt,
    late,
)
from operators.describing.slot import Call, Slot
from operators.records import BreakerTransition, Failure, Occurrence
from operators.remarks import Description

Output: TypeAlias = Description | Failure | BreakerTransition

_VERSION = 1
_TICK_S = 0.05
"""Longest sleep of ``drain`` between two looks at the deadline."""


class Describing:
    """One slow lane for all streams.

    Args:
        model: says what an exemplar sounds like; None where clips are kept only.
        config: bounds.
        keep: given a name and a clip (samples,) at ``ANALYSIS_RATE_HZ``, keeps it and gives the
            name of its file.
        is_speech: whether a clip holds speech; such a clip is neither kept nor described.
        utc: epoch seconds, for the breaker.
        clock: monotonic seconds, for deadlines.

    ``model``, ``keep`` and ``is_speech`` are called from one thread at a time (from another one
    when a call was left behind).
    """

    def __init__(
        self,
        model: Describer | None,
        config: DescribeConfig | None = None,
        *,
        keep: Keep | None = None,
        is_speech: IsSpeech | None = None,
        utc: Clock = time.time,
        clock: Clock = time.monotonic,
    ) -> None:
        self.model = model
        self.config = config or DescribeConfig()
        self._keep = keep
        self._is_speech = is_speech
        self._clock = clock
        self._name = model.name if model else ""
        self._breaker = Breaker(self._name, self.config.patient_breaker, clock=utc)
        self._losses = reports.Losses(self.config.tell_every_s)
        longest_s = min(self.config.longest_s, model.longest_s if model else math.inf)
        self._cutting = Cutting(self.config, longest_s, self._losses)
        self._waiting: deque[Exemplar] = deque()
        self._slot = Slot(
            self._work,
            deadline_s=self.config.deadline_s,
            max_abandoned=self.config.max_abandoned,
            clock=clock,
        )
        self._resting = False
        self._closed = False
        self._counts: Counter[str] = Counter()
        self._out: list[Output] = []

    @property
    def busy(self) -> bool:
        """Whether something is under way, or could be begun: poll again in about 50 ms."""
        return bool(self._out) or self._slot.under_way is not None or self._may_begin

    @property
    def waiting(self) -> int:
        """Exemplars that wait for a call."""
        return len(self._waiting)

    @property
    def breaker(self) -> Breaker:
        """The breaker around the model."""
        return self._breaker

    @property
    def counts(self) -> dict[str, int]:
        """How many were "described", "kept", "failed", left out ("speech"), and each loss."""
        forgotten = self._cutting.agenda.forgotten
        return {**self._counts, **self._losses.totals, "forgotten": forgotten}

    def submit(self, items: Iterable[Item]) -> None:
        """Take in what was heard and what was found in it, in order; returns at once.

        The end of a stream has to follow all that was found on it.

        Raises:
            RuntimeError: it was closed.
        """
        if self._closed:
            raise RuntimeError(f"describing {self._name}: closed, nothing can be submitted")
        for item in items:
            under_way = {exemplar.occurrence.pattern for exemplar in self._under_way}
            for exemplar in self._cutting.take(item, under_way):
                self._enqueue(exemplar)

    def poll(self) -> list[Output]:
        """What has been said since the last time; begins what can be. Returns at once."""
        if (call := self._slot.ended()) is not None:
            self._settle(call)
            self._rest(call.exemplar)
        if self._slot.under_way is None and self._may_begin:
            self._begin()
            if len(self._waiting) < self.config.queue and (again := self._cutting.again()):
                self._waiting.append(again)
        self._out += self._losses.told(self._clock())
        out, self._out = self._out, []
        return out

    def drain(self, timeout_s: float) -> list[Output]:
        """Wait until nothing is under way nor can be begun, at most ``timeout_s``.

        What waits behind an open breaker, or behind calls that hang, is not waited for.
        """
        until_s = self._clock() + timeout_s
        out = self.poll()
        while self.busy and (left_s := until_s - self._clock()) > 0.0:
            self._slot.wait(min(_TICK_S, left_s))
            out += self.poll()
        return out

    def close(self) -> list[Output]:
        """Stop for good; gives what is left to say, with the number of exemplars that waited."""
        if self._closed:
            return []
        self._closed = True
        left = [exemplar.occurrence for exemplar in self._under_way]
        for at in [*left, *self._cutting.displaced]:
            self._losses.add("shutdown", at.stream, at.start_s)
        self._waiting.clear()
        self._slot.drop()
        out = [*self._out, *self._losses.told(self._clock(), finally_=True)]
        self._out = []
        return out

    def snapshot(self) -> dict[str, Any]:
        """Versioned plain state: what was described and when, and the breaker.

        No audio: what waits is described when its pattern is heard again.
        """
        return {
            "version": _VERSION,
            "model": self._name,
            "patterns": self._cutting.agenda.snapshot(),
            "breaker": self._breaker.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a snapshot, on a fresh instance; another model may speak of all again.

        Raises:
            ValueError: the snapshot has another version.
        """
        if state.get("version") != _VERSION:
            raise ValueError(
                f"describing: state version {state.get('version')}, expected {_VERSION}"
            )
        same = state["model"] == self._name
        self._cutting.agenda.restore(state["patterns"], describe_again=not same)
        if same:
            self._breaker.restore(state["breaker"])

    @property
    def _may_begin(self) -> bool:
        if not self._waiting or self._closed or self._slot.full:
            return False
        return self.model is None or self._breaker.permits

    @property
    def _under_way(self) -> list[Exemplar]:
        """What was cut and is not done with."""
        called = self._slot.under_way
        return [*self._waiting] if called is None else [called, *self._waiting]

    def _enqueue(self, exemplar: Exemplar) -> None:
        if len(self._waiting) >= self.config.queue:
            self._cutting.displace(self._waiting.popleft().occurrence)
        self._waiting.append(exemplar)

    def _begin(self) -> None:
        """Take up the exemplar that waited longest."""
        permission = None
        if self.model is not None:
            permission = self._breaker.acquire()
            self._out += permission.transitions
            if not permission.allowed:
                return
        self._slot.begin(self._waiting.popleft(), permission)

    def _work(self, exemplar: Exemplar) -> Answer:
        """What a call does, on its thread."""
        return attempt(exemplar, self.model, self._keep, self._is_speech, self.config.longest_text)

    def _settle(self, call: Call) -> None:
        """Let a call that ended take effect."""
        exemplar, answer = call.exemplar, call.answer
        if call.late:
            stage: Stage = "describe" if self.model else "clips"
            answer = Answer(troubles=((stage, late(self.config.deadline_s)),))
        self._judge(call, answer)
        self._out += [
            reports.failed(stage, self._name, exemplar, diagnosis)
            for stage, diagnosis in answer.troubles
        ]
        at = exemplar.occurrence
        if answer.text or (answer.clip and not answer.troubles):
            self._cutting.agenda.described(at)
        elif answer.troubles:
            self._cutting.agenda.failed(at)
        elif answer.speech:
            self._cutting.agenda.missed(at)
        if answer.text or answer.clip:
            self._out.append(self._description(at, answer))
        self._counts["described"] += bool(answer.text)
        self._counts["kept"] += bool(answer.clip)
        self._counts["speech"] += answer.speech
        self._counts["failed"] += bool(answer.troubles)

    def _judge(self, call: Call, answer: Answer) -> None:
        """Tell the breaker how the model did."""
        if call.permission is None:
            return
        if call.late:
            self._out += self._breaker.trip(call.permission)
        elif answer.asked:
            self._out += self._breaker.record(call.permission, call.took_s, bool(answer.text))
        else:
            self._breaker.release(call.permission)

    def _rest(self, last: Exemplar) -> None:
        """Say once that too many calls hang; when one comes back, it goes on."""
        if self._slot.full and not self._resting:
            name, hanging = self._name or "clips", self._slot.hanging
            self._out.append(
                reports.hanging(name, last.occurrence, hanging, self.config.deadline_s)
            )
        self._resting = self._slot.full

    def _description(self, at: Occurrence, answer: Answer) -> Description:
        return Description(
            stream=at.stream,
            pattern=at.pattern,
            text=answer.text,
            model=self._name if answer.text else "",
            start_s=at.start_s,
            end_s=at.end_s,
            start_ns=at.start_ns,
            clip=answer.clip,
        )
