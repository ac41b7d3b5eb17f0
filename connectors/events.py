"""Records as the JSON events that people and scripts rely on.

Invariant: one record gives one flat object whose first key is ``event``; the list verbs print
the same objects in their final state. Times ``*_s`` are seconds from the start of the stream.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any

from operators import tracing
from operators.rates import RateChange
from operators.records import (
    BreakerTransition,
    Embedding,
    Failure,
    Novel,
    Occurrence,
    Pattern,
    Relation,
    RungChange,
    SourceState,
    Verdict,
    to_s,
)
from operators.remarks import Description, Tag
from operators.revision import Revision

Event = dict[str, Any]


def _occurrence(item: Occurrence) -> Event:
    return {
        "event": "occurrence",
        "stream": item.stream,
        "pattern": item.pattern,
        "start_s": _number(item.start_s),
        "end_s": _number(item.end_s),
        "start_ns": item.start_ns,
        "score": round(item.score, 4),
        "emitted_s": _number(item.emitted_s),
        "backfilled": item.backfilled,
    }


def _pattern(item: Pattern) -> Event:
    return {
        "event": "pattern",
        "stream": item.stream,
        "pattern": item.pattern,
        "name": item.name or None,
        "count": item.count,
        "first_s": _number(item.first_s),
        "last_s": _number(item.last_s),
        "duration_s": _number(item.duration_s),
        "status": item.status,
        "into": item.into or None,
    }


def _revision(item: Revision) -> Event:
    return {
        "event": "revision",
        "stream": item.stream,
        "start_s": _number(item.start_s),
        "start_ns": item.start_ns,
        "pattern_from": item.pattern_from or None,
        "pattern": item.pattern or None,
        "reason": item.reason,
    }


def _relation(item: Relation) -> Event:
    event: Event = {
        "event": "relation",
        "stream": item.stream,
        "kind": item.kind,
        "source": item.source,
        "target": item.target,
        "lag_s": _number(item.lag_s),
        "lag_sd_s": _number(item.lag_sd_s),
        "period_s": _number(item.period_s),
        "support": item.support,
        "probability": _number(item.probability),
        "lift": _number(item.lift),
        "q": item.q,
        "first_s": _number(item.first_s),
        "last_s": _number(item.last_s),
        "indirect": item.indirect,
    }
    if item.withdrawn:
        event["withdrawn"] = True
    return event


def _novel(item: Novel) -> Event:
    return {
        "event": "novel",
        "stream": item.stream,
        "start_s": _number(item.start_s),
        "end_s": _number(item.end_s),
    }


def _rate(item: RateChange) -> Event:
    return {
        "event": "rate",
        "stream": item.stream,
        "pattern": item.pattern,
        "at_s": _number(item.at_s),
        "direction": item.direction,
        "rate_before_per_h": _number(item.rate_before_per_h),
        "rate_per_h": _number(item.rate_per_h),
        "p": item.p,
        "emitted_s": _number(item.emitted_s),
    }


def _failure(item: Failure) -> Event:
    return {
        "event": "failure",
        "stream": item.stream,
        "stage": item.stage,
        "reason": item.reason,
        "detail": item.detail,
        "remedy": item.remedy,
        "start_s": _number(item.start_s),
    }


def _stored(item: Embedding) -> Event:
    return _window(item.stream, item.index, item.space, "stored", "")


def _verdict(item: Verdict) -> Event:
    return _window(item.stream, item.index, item.space, item.verdict, item.reason)


def _window(stream: str, index: int, space: str, verdict: str, reason: str) -> Event:
    return {
        "event": "window",
        "stream": stream,
        "start_s": _number(to_s(index)),
        "space": space,
        "verdict": verdict,
        "reason": reason or None,
    }


def _breaker(item: BreakerTransition) -> Event:
    return {
        "event": "breaker",
        "model": item.name,
        "from": item.from_state,
        "to": item.to_state,
        "reason": item.reason or None,
    }


def _rung(item: RungChange) -> Event:
    return {
        "event": "rung",
        "model": item.ladder,
        "from": item.from_model or None,
        "to": item.to_model or None,
        "reason": item.reason or None,
    }


def _description(item: Description) -> Event:
    return {
        "event": "description",
        "stream": item.stream,
        "pattern": item.pattern,
        "text": item.text or None,
        "model": item.model or None,
        "start_s": _number(item.start_s),
        "end_s": _number(item.end_s),
        "clip": item.clip or None,
    }


def _tag(item: Tag) -> Event:
    return {
        "event": "tag",
        "stream": item.stream,
        "start_s": _number(to_s(item.index)),
        "kind": item.kind,
        "score": _number(item.score),
    }


def _source(item: SourceState) -> Event:
    return {
        "event": "source",
        "stream": item.stream,
        "state": item.state,
        "detail": item.detail or None,
        "lag_s": _number(item.lag_s),
    }


def _number(value: float | None) -> float | None:
    return round(value, 4) if value is not None and isfinite(value) else None


_EVENTS: dict[type, Callable[[Any], Event]] = {
    BreakerTransition: _breaker,
    Description: _description,
    Embedding: _stored,
    Failure: _failure,
    Novel: _novel,
    Occurrence: _occurrence,
    Pattern: _pattern,
    RateChange: _rate,
    Relation: _relation,
    Revision: _revision,
    RungChange: _rung,
    SourceState: _source,
    Tag: _tag,
    Verdict: _verdict,
}


def as_event(item: object) -> Event | None:
    """The JSON object of a record; ``None`` for records that are not announced (centroids).

    Where the span that it came from is kept, ``trace_id`` leads there.
    """
    make = _EVENTS.get(type(item))
    if make is None:
        return None
    event = make(item)
    if traced := tracing.trace_id(getattr(item, "traceparent", "")):
        event["trace_id"] = traced
    return event
