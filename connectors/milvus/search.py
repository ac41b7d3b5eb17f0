"""Vector search over windows, one row a moment, with the pattern that was heard then.

Windows overlap by half, and onsets have windows of their own, so one event answers several times,
and several vectors (the windows of one clip) find the same one: a window has the score of the
vector it is most like, and of windows that overlap in time only the best is given.

Vectors say what is like the question. Where the question can also be held against the templates of
patterns, a few times as many moments are taken as are wanted, and those whose pattern it is rise.

Invariant: rows are best first; no two of them overlap in one stream; each pattern is a survivor.
By vectors alone a row is given only when everything that could come before it has been seen; only
templates of the patterns among the moments taken are read.
"""

import base64
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from connectors.milvus.aliases import Aliases
from connectors.milvus.errors import StoreMissing
from connectors.milvus.filters import any_of
from connectors.milvus.reader import Reader
from connectors.milvus.remarks import speech_of
from connectors.milvus.schema import collection_name, search_parameters
from operators.patterns.recognise import fused

_FIRST_ASKED = 8
_MOST_ASKED = 16_384
_TIMEOUT_S = 60.0
_TAKEN = 5
_MOST_TAKEN = 200
"""Moments to rank again: so many times as are wanted, unless that is more than this."""
_MAINLY = 0.5
_FIELDS = ["stream", "start_ns", "start_s", "duration_s"]

Hit = dict[str, Any]
Recognise: TypeAlias = Callable[[Mapping[str, bytes]], Mapping[str, float]]
"""How surely the question is the sound of each template, 0-1, where that can be told."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """The pattern heard during a window; ``share`` of it or of the window, whichever is shorter."""

    pattern: str | None = None
    share: float = 0.0


def find(
    reader: Reader,
    aliases: Aliases,
    vectors: NDArray[np.float32],
    space: str,
    condition: str,
    limit: int,
    recognise: Recognise | None = None,
) -> list[dict[str, Any]]:
    """Search one space with (n, dimension) vectors; see ``Queries.search``."""
    _check_vectors(vectors, space, reader)
    taken = limit if recognise is None else max(limit, min(_TAKEN * limit, _MOST_TAKEN))
    moments = _best(reader, vectors, space, condition, taken)
    heard = _heard(reader, aliases, moments)
    matches = _matches(reader, heard, recognise)
    scores = [fused(hit["score"], match) for hit, match in zip(moments, matches, strict=True)]
    order = sorted(range(len(moments)), key=lambda n: -scores[n])[:limit]
    speech = speech_of(reader, [moments[n] for n in order])
    return [
        {
            "stream": moments[n]["stream"],
            "start_s": round(moments[n]["start_s"], 4),
            "end_s": round(moments[n]["start_s"] + moments[n]["duration_s"], 4),
            "start_ns": moments[n]["start_ns"],
            "score": round(scores[n], 4),
            "space": space,
            "pattern": heard[n].pattern,
            "match": matches[n],
            "speech": tagged,
        }
        for n, tagged in zip(order, speech, strict=True)
    ]


def _best(
    reader: Reader, vectors: NDArray[np.float32], space: str, condition: str, limit: int
) -> list[Hit]:
    """The moments most like any of the vectors, best first."""
    asked = max(1, limit) * _FIRST_ASKED
    while True:
        asked = min(asked, _MOST_ASKED)
        answers = _search(reader, vectors, space, condition, asked)
        # Below the end of a list that was cut off, better windows may be missing.
        cut_off = [hits[-1]["score"] for hits in answers if len(hits) == asked]
        floor = max(cut_off, default=-np.inf) if asked < _MOST_ASKED else -np.inf
        moments = _moments(_merged(answers), limit)
        if not cut_off or sum(hit["score"] >= floor for hit in moments) >= limit:
            return moments
        if asked == _MOST_ASKED:
            return moments
        asked *= 4


def _matches(
    reader: Reader, heard: Sequence[_Heard], recognise: Recognise | None
) -> list[float | None]:
    """The match of each moment's pattern, None where there is nothing to compare.

    A moment that only catches the edge of an occurrence is not credited with it.
    """
    mainly = [one.pattern if one.share >= _MAINLY else None for one in heard]
    wanted = sorted({pattern for pattern in mainly if pattern is not None})
    if recognise is None or not wanted:
        return [None] * len(heard)
    rows = reader.rows("patterns", any_of("pattern", wanted), ["pattern", "template"])
    found = recognise({row["pattern"]: base64.b64decode(row["template"]) for row in rows})
    return [
        round(found[pattern], 4) if pattern is not None and pattern in found else None
        for pattern in mainly
    ]


def _check_vectors(vectors: NDArray[np.float32], space: str, reader: Reader) -> None:
    dimensions = reader.dimensions()
    if space not in dimensions:
        there = ", ".join(sorted(dimensions)) or "none"
        raise StoreMissing(
            f"nothing has been heard into {reader.store} in the space {space} (there: {there}); "
            "listen with that model first, or search with the model that listened"
        )
    fits = vectors.ndim == 2 and len(vectors) > 0 and vectors.shape[1] == dimensions[space]
    if not fits or not np.isfinite(vectors).all():
        raise ValueError(
            f"a vector of the space {space} has {dimensions[space]} finite numbers, "
            f"these have the shape {vectors.shape}"
        )


def _search(
    reader: Reader, vectors: NDArray[np.float32], space: str, condition: str, asked: int
) -> list[list[Hit]]:
    """What each vector finds, best first."""
    name = collection_name("windows", space)
    found = reader.ask(
        lambda client: client.search(
            name,
            data=vectors.tolist(),
            filter=condition,
            limit=asked,
            output_fields=_FIELDS,
            search_params=search_parameters(lite=reader.lite),
            timeout=_TIMEOUT_S,
        ),
        name,
    )
    return [
        [
            {
                **hit["entity"],
                "score": float(hit["distance"]),
                "end_ns": hit["entity"]["start_ns"] + round(hit["entity"]["duration_s"] * 1e9),
            }
            for hit in hits
        ]
        for hits in found
    ]


def _merged(answers: list[list[Hit]]) -> list[Hit]:
    """Each window once, with its best score, best first."""
    best: dict[tuple[str, int], Hit] = {}
    for hit in itertools.chain.from_iterable(answers):
        key = (hit["stream"], hit["start_ns"])
        if key not in best or hit["score"] > best[key]["score"]:
            best[key] = hit
    # Equal scores in a fixed order: the same question has the same answer.
    return sorted(best.values(), key=lambda hit: (-hit["score"], hit["stream"], hit["start_ns"]))


def _moments(hits: list[Hit], limit: int) -> list[Hit]:
    """The first ``limit`` windows of which none overlaps a better one."""
    kept: list[Hit] = []
    for hit in hits:
        if len(kept) >= limit:
            break
        if not any(_overlap_ns(hit, other) > 0 for other in kept):
            kept.append(hit)
    return kept


def _heard(reader: Reader, aliases: Aliases, hits: list[Hit]) -> list[_Heard]:
    """The pattern heard during each window, if any recurred there."""
    if not hits:
        return []
    wanted = " or ".join(
        f"({any_of('stream', [hit['stream']])} and start_ns < {hit['end_ns']} "
        f"and end_ns > {hit['start_ns']})"
        for hit in hits
    )
    rows = list(
        reader.rows("occurrences", wanted, ["stream", "start_ns", "end_ns", "pattern", "score"])
    )
    return [_most_overlapping(hit, rows, aliases) for hit in hits]


def _most_overlapping(hit: Hit, rows: list[Hit], aliases: Aliases) -> _Heard:
    there = [row for row in rows if _overlap_ns(hit, row) > 0]
    if not there:
        return _Heard()
    best = max(there, key=lambda row: (_overlap_ns(hit, row), row["score"], row["key"]))
    shorter = min(one["end_ns"] - one["start_ns"] for one in (hit, best))
    return _Heard(aliases.survivor(best["pattern"]), _overlap_ns(hit, best) / shorter)


def _overlap_ns(one: Hit, other: Hit) -> int:
    if one["stream"] != other["stream"]:
        return 0
    return int(min(one["end_ns"], other["end_ns"]) - max(one["start_ns"], other["start_ns"]))
