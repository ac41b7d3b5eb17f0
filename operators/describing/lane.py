"""The slow lane as an operator: what is heard and found goes in, remarks come out some time later.

An exemplar is judged and kept first, then described, one at a time each, on threads of their own: a
call takes as long as it takes and holds up nothing. So a clip is there, and is told of, whatever
becomes of the model. A call of the model that goes past its deadline opens the breaker at once and
is left behind; where too many are, calls of that kind rest until one of them comes back. The flow
never ends because of it.

Invariant: the state belongs to the caller's thread; a call's thread touches its own call only. The
audio kept, the exemplars waiting, the patterns known and the threads are bounded, and whatever is
dropped is counted. Nothing but ``drain`` and ``finish`` waits.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from operators.breaker import Breaker, Clock
from operators.describing import reports
from operators.describing.asking import Asking, Output
from operators.describing.config import DescribeConfig
from operators.describing.cutting import Cutting, Item, Queue
from operators.describing.desk import Desk
from operators.describing.exemplar import Describer, Exemplar, IsSpeech, Keep
from operators.describing.keeping import Keeping

_VERSION = 1
_TICK_S = 0.05
"""Longest sleep of ``drain`` and ``finish`` between two looks at the time."""


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

    ``model`` is called from one thread at a time, ``keep`` and ``is_speech`` from another; where a
    call was left behind, from one more.
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
        self._clock = clock
        self._name = model.name if model else ""
        self._breaker = Breaker(self._name, self.config.patient_breaker, clock=utc)
        self._losses = reports.Losses(self.config.tell_every_s)
        longest_s = min(self.config.longest_s, model.longest_s if model else math.inf)
        self._cutting = Cutting(self.config, longest_s, self._losses)
        self._closed = False
        self._counts: Counter[str] = Counter()
        self._keeping: Keeping | None = None
        self._asking: Asking | None = None
        if keep is not None or is_speech is not None:
            self._keeping = Keeping(
                keep,
                is_speech,
                self._cutting.agenda,
                self.config,
                self._counts,
                final=model is None,
                clock=clock,
            )
        if model is not None:
            self._asking = Asking(
                model, self._cutting.agenda, self.config, self._breaker, self._counts, clock=clock
            )
        self._out: list[Output] = []

    @property
    def busy(self) -> bool:
        """Whether something is under way, or could be begun: poll again in about 50 ms."""
        return bool(self._out) or any(self._at_work.values())

    @property
    def waiting(self) -> int:
        """Exemplars that wait for a call."""
        return sum(len(desk.waiting) for desk in self._desks)

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
            under_way = {exemplar.occurrence.pattern for exemplar in self._held}
            for exemplar in self._cutting.take(item, under_way):
                self._put(exemplar)

    def poll(self) -> list[Output]:
        """What has been said since the last time; begins what can be. Returns at once."""
        if self._keeping is not None:
            told, passed = self._keeping.poll()
            self._out += told
            for exemplar in passed:
                self._have_described(exemplar)
        if self._asking is not None:
            self._out += self._asking.poll()
        self._take_again()
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
            self._wait(min(_TICK_S, left_s))
            out += self.poll()
        return out

    def finish(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Output]:
        """Say what is left to say, then close: for when nothing more is submitted.

        All words together are waited for ``drain_s`` at most, clips as long as one of them may
        take; what had to give way is taken up again while that lasts. The rest is counted. Once
        ``stopped``, nothing is waited for.
        """
        began_s = self._clock()
        words_s = self.config.drain_s
        limits_s = {"clips": max(words_s, self.config.keep_deadline_s), "words": words_s}
        while True:
            yield from self.poll()
            at_work = [limits_s[queue] for queue, busy in self._at_work.items() if busy]
            left_s = max(at_work, default=0.0) - (self._clock() - began_s)
            if stopped() or left_s <= 0.0:
                break
            self._wait(min(_TICK_S, left_s))
        yield from self.close()

    def close(self) -> list[Output]:
        """Stop for good; gives what is left to say, with the number of exemplars that waited."""
        if self._closed:
            return []
        self._closed = True
        left = [exemplar.occurrence for exemplar in self._held]
        for at in [*left, *self._cutting.displaced]:
            self._losses.add("shutdown", at.stream, at.start_s)
        for desk in self._desks:
            desk.clear()
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
    def _desks(self) -> list[Desk]:
        return [half.desk for half in (self._keeping, self._asking) if half is not None]

    @property
    def _at_work(self) -> dict[Queue, bool]:
        """Whether something is under way or could be begun, in each half."""
        if self._closed:
            return {}
        return {
            "clips": self._keeping is not None and self._keeping.busy,
            "words": self._asking is not None and self._asking.busy,
        }

    @property
    def _held(self) -> list[Exemplar]:
        """What was cut and is not done with."""
        return [exemplar for desk in self._desks for exemplar in desk.held]

    def _wait(self, timeout_s: float) -> None:
        """Wait for a call under way; one that keeps a clip is the shorter one."""
        for desk in self._desks:
            if desk.slot.under_way is not None:
                desk.slot.wait(timeout_s)
                return

    def _put(self, exemplar: Exemplar) -> None:
        """Have an exemplar judged and kept where that is wanted, else described."""
        wanted = self._keeping.wanted(exemplar) if self._keeping is not None else None
        if self._keeping is None or wanted is None:
            self._have_described(exemplar)
        elif (gone := self._keeping.desk.put(wanted)) is not None:
            self._cutting.displace(gone.occurrence, "clips")

    def _have_described(self, exemplar: Exemplar) -> None:
        if self._asking is not None and (gone := self._asking.desk.put(exemplar)) is not None:
            self._cutting.displace(gone.occurrence, "words")

    def _take_again(self) -> None:
        """Take up what had to give way, as far as there is room at the end of its way.

        Whoever waits for words comes through the same door again, and is judged again: what lies
        on the way there already has its place first.
        """
        keeping, asking = self._keeping, self._asking
        while keeping and keeping.desk.room > 0 and (again := self._cutting.again("clips")):
            self._put(again)
        while asking and asking.desk.room > (len(keeping.desk.held) if keeping else 0):
            if (again := self._cutting.again("words")) is None:
                break
            self._put(again)
