"""Records as rows of collections, and rows as records again.

Invariant: a record's row holds every column of its layout (Milvus Lite would fill a missing one
from the old row), its key is the record's, and a row gives back the record, so that the list
verbs print what ``listen`` printed.
"""

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from connectors.entries import Storable
from connectors.milvus.schema import DUMMY_VECTOR, LAYOUTS, MAX_TEXT, Layout, collection_name
from operators import tracing
from operators.records import Centroid, Embedding, Occurrence, Pattern, Relation, to_s
from operators.remarks import Description, Tag
from operators.revision import Revision

Record = TypeVar("Record", Occurrence, Pattern, Relation)

_MAX_TEMPLATE_BYTES = MAX_TEXT // 4 * 3


@dataclass(frozen=True, slots=True)
class Write:
    """One change of one row; ``row`` None deletes it.

    Attributes:
        space: vector space of the collection, "" where it has none.
        start_s: position of what it is about in its stream, for messages.
        traceparent: header of the span that made it, where that is kept.
        since_ns: epoch nanoseconds since when it waits for the store.
    """

    layout: Layout
    space: str
    key: str
    row: dict[str, Any] | None
    stream: str
    start_s: float
    traceparent: str = ""
    since_ns: int = 0

    @property
    def collection(self) -> str:
        """Name of the collection it belongs to."""
        return collection_name(self.layout.kind, self.space)

    @property
    def dimension(self) -> int:
        """Length of the row's vector."""
        return len(self.row["vector"]) if self.row else 0


def write_of(record: Storable, since_ns: int = 0) -> Write:
    """The change of the store that a record asks for, and since when (for its trace)."""
    write: Write = _WRITES[type(record)](record)
    traceparent = tracing.kept(getattr(record, "traceparent", ""))
    return replace(write, traceparent=traceparent, since_ns=since_ns) if traceparent else write


def flaw_of(write: Write) -> str:
    """Why a row cannot be stored, in one line; "" where it can.

    Milvus Lite accepts numbers that are not finite and answers nonsense afterwards.
    """
    promised = write.space.rpartition("-")[2]
    if write.row and promised.isdigit() and write.dimension != int(promised):
        return f"the vector has {write.dimension} numbers, the space {write.space} another count"
    for name, value in (write.row or {}).items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"{name} is {value}"
        if name == "vector" and not np.isfinite(value).all():
            return "the vector holds numbers that are not finite"
        if name == "template" and len(value) > MAX_TEXT:
            return f"the template has more than {_MAX_TEMPLATE_BYTES} bytes"
        if name == "text" and len(value.encode()) > MAX_TEXT:
            return f"the text has more than {MAX_TEXT} bytes"
    return ""


def record_of(kind: type[Record], row: Mapping[str, Any]) -> Record:
    """The record that a row was made of; what the row does not hold has its default."""
    names = {field.name for field in fields(kind)} - {"template"}
    return kind(**{name: row[name] for name in names & row.keys()})


def _embedding(record: Embedding) -> Write:
    start_s = to_s(record.index)
    row = {
        "key": record.key,
        "stream": record.stream,
        "start_ns": record.start_ns,
        "start_s": start_s,
        "duration_s": float(record.duration_s),
        "onset": bool(record.onset),
        "rms_db": float(record.rms_db),
        "traceparent": tracing.kept(record.traceparent),
        "vector": np.asarray(record.vector, np.float32),
    }
    layout = LAYOUTS["windows"]
    return Write(layout, record.space, record.key, row, record.stream, start_s)


def _centroid(record: Centroid) -> Write:
    layout = LAYOUTS["centroids"]
    if record.withdrawn:
        return Write(layout, record.space, record.pattern, None, record.stream, 0.0)
    row = {
        "key": record.pattern,
        "stream": record.stream,
        "pattern": record.pattern,
        "count": int(record.count),
        "vector": np.asarray(record.vector, np.float32),
    }
    return Write(layout, record.space, record.pattern, row, record.stream, 0.0)


def _pattern(record: Pattern) -> Write:
    row = {
        "key": record.key,
        "stream": record.stream,
        "pattern": record.pattern,
        "name": record.name,
        "status": record.status,
        "into": record.into,
        "template": base64.b64encode(record.template).decode(),
        "traceparent": tracing.kept(record.traceparent),
        "count": int(record.count),
        "first_ns": int(record.first_ns),
        "last_ns": int(record.last_ns),
        "first_s": float(record.first_s),
        "last_s": float(record.last_s),
        "duration_s": float(record.duration_s),
        "salience": float(record.salience),
        "vector": DUMMY_VECTOR,
    }
    return Write(LAYOUTS["patterns"], "", record.key, row, record.stream, record.first_s)


def _occurrence(record: Occurrence) -> Write:
    row = {
        "key": record.key,
        "stream": record.stream,
        "pattern": record.pattern,
        "traceparent": tracing.kept(record.traceparent),
        "start_ns": int(record.start_ns),
        "end_ns": int(record.start_ns) + round((record.end_s - record.start_s) * 1e9),
        "start_s": float(record.start_s),
        "end_s": float(record.end_s),
        "score": float(record.score),
        "emitted_s": float(record.emitted_s),
        "backfilled": bool(record.backfilled),
        "vector": DUMMY_VECTOR,
    }
    return Write(LAYOUTS["occurrences"], "", record.key, row, record.stream, record.start_s)


def _revision(record: Revision) -> Write:
    # What came instead is an occurrence of its own; of one that was added nothing is gone.
    layout = LAYOUTS["occurrences"]
    return Write(layout, "", record.gone, None, record.stream, record.start_s)


def _relation(record: Relation) -> Write:
    layout = LAYOUTS["relations"]
    if record.withdrawn:
        return Write(layout, "", record.key, None, record.stream, record.first_s)
    row: dict[str, Any] = {"key": record.key, "vector": DUMMY_VECTOR}
    row |= {column.name: getattr(record, column.name) for column in layout.columns}
    return Write(layout, "", record.key, row, record.stream, record.first_s)


def _description(record: Description) -> Write:
    # A clip that nothing was said of has a row of its own: it must not erase what was said once.
    key = record.key if record.text else f"{record.key}|clip"
    row = {
        "key": key,
        "stream": record.stream,
        "pattern": record.pattern,
        "text": record.text,
        "model": record.model,
        "clip": record.clip,
        "start_ns": int(record.start_ns),
        "start_s": float(record.start_s),
        "end_s": float(record.end_s),
        "vector": DUMMY_VECTOR,
    }
    return Write(LAYOUTS["descriptions"], "", key, row, record.stream, record.start_s)


def _tag(record: Tag) -> Write:
    start_s = to_s(record.index)
    row = {
        "key": record.key,
        "stream": record.stream,
        "kind": record.kind,
        "start_ns": int(record.start_ns),
        "start_s": start_s,
        "duration_s": float(record.duration_s),
        "score": float(record.score),
        "vector": DUMMY_VECTOR,
    }
    return Write(LAYOUTS["tags"], "", record.key, row, record.stream, start_s)


_WRITES: dict[type[Storable], Callable[[Any], Write]] = {
    Embedding: _embedding,
    Centroid: _centroid,
    Pattern: _pattern,
    Occurrence: _occurrence,
    Revision: _revision,
    Relation: _relation,
    Description: _description,
    Tag: _tag,
}
