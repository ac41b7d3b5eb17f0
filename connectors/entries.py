"""Records as bytes for the spool: plain, versioned, without pickle.

Layout: ``version (1) | length of the fields (4, little endian) | fields as JSON | raw bytes``.
A vector travels as raw little-endian float32, a template as it is; everything else is JSON,
whose floats survive exactly (shortest round-trip representation).

Invariant: ``decode(encode(record))`` equals the record, field by field; a change of layout or of
a record's fields changes ``VERSION`` (a new kind of record does not: who does not know it says so).
Entries of version 1, which a spool may still hold after an update, are read too.
"""

import json
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np

from operators.records import Centroid, Embedding, Occurrence, Pattern, Relation
from operators.remarks import Description, Tag
from operators.revision import Revision

Storable: TypeAlias = (
    Embedding | Occurrence | Revision | Pattern | Relation | Centroid | Description | Tag
)
VERSION = 2
_ADDED: dict[int, frozenset[tuple[type, str]]] = {
    1: frozenset({(Centroid, "withdrawn")}),
    VERSION: frozenset(),
}
"""Versions that can be read -> fields that came after them; those have their defaults."""

_KINDS: dict[str, type[Storable]] = {
    "embedding": Embedding,
    "occurrence": Occurrence,
    "revision": Revision,
    "pattern": Pattern,
    "relation": Relation,
    "centroid": Centroid,
    "description": Description,
    "tag": Tag,
}
_NAMES = {record: name for name, record in _KINDS.items()}
_RAW = {Embedding: "vector", Centroid: "vector", Pattern: "template"}
_LENGTH_BYTES = 4


def encode(record: Storable) -> bytes:
    """The bytes of one record.

    Raises:
        TypeError: it is no record that a store keeps.
    """
    name = _NAMES.get(type(record))
    if name is None:
        raise TypeError(f"a store does not keep {type(record).__name__} records")
    raw_field = _RAW.get(type(record), "")
    content: list[Any] = [name]
    content += [getattr(record, f.name) for f in fields(record) if f.name != raw_field]
    text = json.dumps(content, separators=(",", ":"), default=_plain).encode()
    raw = _raw(getattr(record, raw_field)) if raw_field else b""
    return bytes([VERSION]) + len(text).to_bytes(_LENGTH_BYTES, "little") + text + raw


def decode(payload: bytes) -> Storable:
    """The record that ``encode`` was given; arrays come back read-only.

    Raises:
        ValueError: the bytes are of another version or not what ``encode`` makes.
    """
    added = _ADDED.get(payload[0]) if payload else None
    if added is None:
        raise ValueError(f"entry of version {payload[:1].hex() or '-'}, not {VERSION}")
    begin = 1 + _LENGTH_BYTES
    end = begin + int.from_bytes(payload[1:begin], "little")
    try:
        name, *values = json.loads(payload[begin:end])
        kind = _KINDS[name]
        raw_field = _RAW.get(kind, "")
        later = {name for record, name in added if record is kind}
        names = [f.name for f in fields(kind) if f.name not in {raw_field, *later}]
        content = dict(zip(names, values, strict=True))
        if raw_field == "vector":
            content["vector"] = np.frombuffer(payload[end:], dtype="<f4")
        elif raw_field:
            content[raw_field] = payload[end:]
        return kind(**content)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"entry that cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python number that JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be part of an entry")


def _raw(value: Any) -> bytes:
    return value if isinstance(value, bytes) else np.asarray(value, dtype="<f4").tobytes()
