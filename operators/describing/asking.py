"""The second half of the slow lane: the model is asked, as far as its breaker permits.

Invariant: a call past its deadline opens the breaker at once, and its answer is thrown away.
"""

from collections import Counter
from typing import TypeAlias

from operators.breaker import Breaker, Clock
from operators.describing import reports
from operators.describing.agenda import Agenda
from operators.describing.config import DescribeConfig
from operators.describing.desk import Desk
from operators.describing.exemplar import Answer, Describer, Exemplar, described, late
from operators.describing.slot import Call
from operators.records import BreakerTransition, Failure
from operators.remarks import Description

Output: TypeAlias = Description | Failure | BreakerTransition


class Asking:
    """Has exemplars described.

    Args:
        model: says what an exemplar sounds like.
        agenda: told what was described.
        config: bounds.
        breaker: around the model.
        counts: of the lane.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        model: Describer,
        agenda: Agenda,
        config: DescribeConfig,
        breaker: Breaker,
        counts: Counter[str],
        *,
        clock: Clock,
    ) -> None:
        self._model = model
        self._agenda = agenda
        self._config = config
        self._breaker = breaker
        self._counts = counts
        self.desk = Desk(
            model.name,
            self._work,
            queue=config.queue,
            deadline_s=config.deadline_s,
            max_abandoned=config.max_abandoned,
            clock=clock,
        )

    @property
    def busy(self) -> bool:
        """Whether something is under way or could be begun."""
        return self.desk.slot.under_way is not None or self._may_begin

    def poll(self) -> list[Output]:
        """What is to be told; begins what can be."""
        out: list[Output] = []
        call, hanging = self.desk.ended()
        if call is not None:
            self._settle(call, out)
        out += hanging
        self.desk.slot.returned()  # too late to be used
        if self._may_begin:
            permission = self._breaker.acquire()
            out += permission.transitions
            if permission.allowed:
                self.desk.begin(permission)
        return out

    @property
    def _may_begin(self) -> bool:
        return self.desk.may_begin and self._breaker.permits

    def _work(self, exemplar: Exemplar) -> Answer:
        """What a call does, on its thread."""
        return described(exemplar, self._model, self._config.longest_text)

    def _settle(self, call: Call, out: list[Output]) -> None:
        """Let a call that ended take effect."""
        exemplar, answer = call.exemplar, call.answer
        at, name = exemplar.occurrence, self._model.name
        if call.late:
            answer = Answer(troubles=(("describe", late("describe", self._config.deadline_s)),))
        if call.permission is not None:
            out += (
                self._breaker.trip(call.permission)
                if call.late
                else self._breaker.record(call.permission, call.took_s, bool(answer.text))
            )
        out += [reports.failed(*trouble, name, exemplar) for trouble in answer.troubles]
        if answer.text:
            self._agenda.described(at)
            out.append(reports.described(at, answer.text, name, self._agenda.clip_of(at)))
        else:
            self._agenda.failed(at)
        self._counts["described"] += bool(answer.text)
        self._counts["failed"] += bool(answer.troubles)
