"""The records a detector hands out, built in one place.

Invariant: times are exact in integers (frame -> sample -> nanoseconds); nothing depends on how
the audio was cut into frames.
"""

from operators.patterns.codec import encode
from operators.patterns.memory import Moment
from operators.patterns.template import Template
from operators.records import FRAME_S, HOP_SAMPLES, Occurrence, Pattern, to_ns, to_s


def occurrence(
    template: Template,
    moment: Moment,
    frame: int,
    frames: int,
    *,
    score: float,
    backfilled: bool,
) -> Occurrence:
    """One occurrence whose onset is an absolute spectral frame and which lasts ``frames``."""
    sample = max(0, frame) * HOP_SAMPLES
    return Occurrence(
        stream=moment.stream,
        pattern=template.pattern,
        start_s=to_s(sample),
        end_s=to_s(sample + max(1, frames) * HOP_SAMPLES),
        start_ns=to_ns(template.origin_ns, sample),
        score=round(score, 4),
        emitted_s=to_s(moment.emitted_frame * HOP_SAMPLES),
        backfilled=backfilled,
        traceparent=moment.traceparent,
    )


def pattern(template: Template, moment: Moment, *, into: str = "") -> Pattern:
    """The present state of a template, whole: what is stored takes the place of what was."""
    return Pattern(
        stream=moment.stream,
        pattern=template.pattern,
        name=f"P{template.number + 1}",
        count=template.count,
        first_s=to_s(template.first_sample),
        last_s=to_s(template.last_sample),
        first_ns=to_ns(template.origin_ns, template.first_sample),
        last_ns=to_ns(template.origin_ns, template.last_sample),
        duration_s=round((template.frames - template.lead) * FRAME_S, 4),
        status=template.status,
        into=into,
        template=encode(template.level, template.floor, template.lead),
        salience=round(template.salience, 3),
        traceparent=moment.traceparent,
    )
