"""The first half of the slow lane: exemplars are judged, and kept as clips.

It waits for no model and no breaker: a clip is there, and is told of, whatever becomes of them.

Invariant: what may hold speech goes no further; every clip that was written is told of, also one
whose call came back late.
"""

from collections import Counter
from dataclasses import replace

from operators.breaker import Clock
from operators.describing import reports
from operators.describing.agenda import Agenda
from operators.describing.config import DescribeConfig
from operators.describing.desk import Desk
from operators.describing.exemplar import (
    Answer,
    Exemplar,
    IsSpeech,
    Keep,
    Stage,
    judged_and_kept,
    late,
)
from operators.describing.slot import Call
from operators.records import Failure, Occurrence
from operators.remarks import Description


class Keeping:
    """Judges and keeps exemplars.

    Args:
        keep: keeps a clip; None where none is.
        is_speech: whether a clip holds speech; None where it does not matter.
        agenda: told what was kept.
        config: bounds.
        counts: of the lane.
        final: whether a clip is all that is wanted of a pattern: nobody describes it.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        keep: Keep | None,
        is_speech: IsSpeech | None,
        agenda: Agenda,
        config: DescribeConfig,
        counts: Counter[str],
        *,
        final: bool,
        clock: Clock,
    ) -> None:
        self._keep = keep
        self._is_speech = is_speech
        self._agenda = agenda
        self._config = config
        self._counts = counts
        self._final = final
        self.desk = Desk(
            "clips",
            self._work,
            queue=config.queue,
            deadline_s=config.keep_deadline_s,
            max_abandoned=config.max_abandoned,
            clock=clock,
        )

    @property
    def busy(self) -> bool:
        """Whether something is under way or could be begun."""
        return self.desk.slot.under_way is not None or self.desk.may_begin

    def wanted(self, exemplar: Exemplar) -> Exemplar | None:
        """The exemplar with what is to be done here; None where there is nothing to do."""
        kept = self._keep is not None
        if not self._final:
            kept = kept and self._agenda.clip_due(exemplar.occurrence)
        if not kept and self._is_speech is None:
            return None
        return replace(exemplar, kept=kept)

    def poll(self) -> tuple[list[Description | Failure], list[Exemplar]]:
        """What is to be told, and the exemplars that may be described now."""
        call, hanging = self.desk.ended()
        out: list[Description | Failure] = []
        passed = call is not None and self._settle(call, out)
        out += hanging
        for back in self.desk.slot.returned():
            self._told(back.exemplar.occurrence, back.answer, out)
        if self.desk.may_begin:
            self.desk.begin()
        return out, [call.exemplar] if call and passed else []

    def _work(self, exemplar: Exemplar) -> Answer:
        """What a call does, on its thread."""
        return judged_and_kept(exemplar, self._keep if exemplar.kept else None, self._is_speech)

    def _settle(self, call: Call, out: list[Description | Failure]) -> bool:
        """Let a call that ended take effect; whether its exemplar may be described."""
        answer, at = call.answer, call.exemplar.occurrence
        if call.late:
            unjudged = self._is_speech is not None
            stage: Stage = "speech" if unjudged else "clips"
            trouble = late(stage, self._config.keep_deadline_s)
            answer = Answer(speech=unjudged, troubles=((stage, trouble),))
        out += [reports.failed(*trouble, "", call.exemplar) for trouble in answer.troubles]
        self._counts["failed"] += bool(answer.troubles)
        self._counts["speech"] += answer.speech
        self._told(at, answer, out)
        if answer.troubles and (answer.speech or self._final):
            self._agenda.failed(at)
        elif answer.speech:
            self._agenda.missed(at)
        return not answer.speech and not self._final

    def _told(self, at: Occurrence, answer: Answer, out: list[Description | Failure]) -> None:
        """Tell of a clip, if there is one."""
        if not answer.clip:
            return
        self._agenda.kept(at, answer.clip)
        if self._final:
            self._agenda.described(at)
        self._counts["kept"] += 1
        out.append(reports.described(at, clip=answer.clip))
