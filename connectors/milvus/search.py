"""Vector search over windows, one row a moment, with the pattern that was heard then.

Windows overlap by half, and onsets have windows of their own, so one event answers several times,
and several vectors (the windows of one clip) find the same one: a window has the score of the
vector it is most like, and of windows that overlap in time only the best is given.

Invariant: rows are best first; no two of them overlap in one stream; each pattern is a survivor.
A row is given only when everything that could come before it has been seen.
"""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.milvus.aliases import Aliases
from connectors.milvus.errors import StoreMissing
from connectors.milvus.filters import any_of
from connectors.milvus.reader import Reader
from connectors.milvus.remarks import speech_of
from connectors.milvus.schema import collection_name, search_parameters

_FIRST_ASKED = 8
_MOST_ASKED = 16_384
_TIMEOUT_S = 60.0
_FIELDS = ["stream", "start_ns", "start_s", "duration_s"]

Hit = dict[str, Any]


def find(
    reader: Reader,
    aliases: Aliases,
    vectors: NDArray[np.float32],
    space: str,
    condition: str,
    limit: int,
) -> list[dict[str, Any]]:
    """Search one space with (n, dimension) vectors; see ``Queries.search``."""
    _check_vectors(vectors, space, reader)
    asked = max(1, limit) * _FIRST_ASKED
    while True:
        asked = min(asked, _MOST_ASKED)
        answers = _search(reader, vectors, space, condition, asked)
        # Below the end of a list that was cut off, better windows may be missing.
        cut_off = [hits[-1]["score"] for hits in answers if len(hits) == asked]
        floor = max(cut_off, default=-np.inf) if asked < _MOST_ASKED else -np.inf
        moments = _moments(_merged(answers), limit)
        if not cut_off or sum(hit["score"] >= floor for hit in moments) >= limit:
            break
        if asked == _MOST_ASKED:
            break
        asked *= 4
    patterns = _heard(reader, aliases, moments)
    speech = speech_of(reader, moments)
    return [
        {
            "stream": hit["stream"],
            "start_s": round(hit["start_s"], 4),
            "end_s": round(hit["start_s"] + hit["duration_s"], 4),
            "start_ns": hit["start_ns"],
            "score": round(hit["score"], 4),
            "space": space,
            "pattern": pattern,
            "speech": score,
        }
        for hit, pattern, score in zip(moments, patterns, speech, strict=True)
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


def _heard(reader: Reader, aliases: Aliases, hits: list[Hit]) -> list[str | None]:
    """The pattern heard during each window, None where nothing recurred."""
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


def _most_overlapping(hit: Hit, rows: list[Hit], aliases: Aliases) -> str | None:
    there = [row for row in rows if _overlap_ns(hit, row) > 0]
    if not there:
        return None
    best = max(there, key=lambda row: (_overlap_ns(hit, row), row["score"], row["key"]))
    return aliases.survivor(best["pattern"])


def _overlap_ns(one: Hit, other: Hit) -> int:
    if one["stream"] != other["stream"]:
        return 0
    return int(min(one["end_ns"], other["end_ns"]) - max(one["start_ns"], other["start_ns"]))
