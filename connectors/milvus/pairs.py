"""The windows that two models both embedded, as pairs of vectors to fit a map between their spaces.

Windows belong together by stream and time. Invariant: pairs come in the order of time within a
stream; no window reaches over the end of its block of time, so that two blocks share no audio; what
is left out where there are too many is spread evenly over all of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus import MilvusClient

from connectors.milvus.errors import StoreMissing
from connectors.milvus.filters import any_of
from connectors.milvus.reader import Reader
from connectors.milvus.schema import collection_name
from operators.records import Floats

MOST_PAIRS = 20_000
BLOCK_S = 30.0
_ROWS_A_CALL = 512
_TIMEOUT_S = 60.0

Moment = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Vectors of the same windows in two spaces.

    Attributes:
        x, y: (n, a) and (n, b) float32, row by row of the same window.
        groups: (n,) the block of time that each lies in, over all streams.
        streams: how many streams they come from.
        shared: how many windows there were to choose from.
    """

    x: Floats
    y: Floats
    groups: NDArray[np.int64]
    streams: int
    shared: int


def resolve(reader: Reader, name: str) -> str:
    """The space that a person means: its name, or that of the model it belongs to.

    Raises:
        StoreMissing: nothing was heard into such a space, or into several of that model.
    """
    spaces = sorted(reader.dimensions())
    found = [space for space in spaces if name in (space, space.partition("-")[0])]
    if len(found) == 1:
        return found[0]
    if found:
        raise StoreMissing(
            f"{name!r} has {len(found)} spaces in {reader.store}: say which: {', '.join(found)}"
        )
    raise StoreMissing(
        f"nothing has been heard into {reader.store} in a space of {name!r} "
        f"(there: {', '.join(spaces) or 'none'}); listen with that model first"
    )


def read_pairs(
    reader: Reader, one: str, other: str, *, most: int = MOST_PAIRS, block_s: float = BLOCK_S
) -> Pairs:
    """Reads the windows that two spaces share.

    Args:
        reader: of the store.
        one: name of the first space.
        other: name of the second space.
        most: at most so many windows.
        block_s: length of a block of time.

    Raises:
        StoreMissing: nothing was heard into one of them.
        StoreUnreachable: the store does not answer.
    """
    dimensions = reader.dimensions()
    one, other = resolve(reader, one), resolve(reader, other)
    here, there = _moments(reader, one, block_s), _moments(reader, other, block_s)
    shared = sorted(here.keys() & there.keys())
    step = max(1, -(-len(shared) // most))
    chosen = shared[::step]
    blocks = {block: number for number, block in enumerate(sorted({here[m] for m in chosen}))}
    x = _vectors(reader, one, dimensions[one], chosen)
    y = _vectors(reader, other, dimensions[other], chosen)
    groups = np.array([blocks[here[moment]] for moment in chosen], dtype=np.int64)
    # Whoever listens meanwhile may take a row away between two looks.
    there_still = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    return Pairs(
        x[there_still],
        y[there_still],
        groups[there_still],
        len({stream for stream, _ in chosen}),
        len(shared),
    )


def _moments(reader: Reader, space: str, block_s: float) -> dict[Moment, tuple[str, int]]:
    """Every window of a space that lies within one block of time, with that block."""
    collection, block_ns = collection_name("windows", space), round(block_s * 1e9)
    found: dict[Moment, tuple[str, int]] = {}
    for row in reader.rows(collection, "", ["stream", "start_ns", "duration_s"]):
        block = row["start_ns"] // block_ns
        if row["start_ns"] + row["duration_s"] * 1e9 <= (block + 1) * block_ns:
            found[row["stream"], row["start_ns"]] = (row["stream"], block)
    return found


def _vectors(reader: Reader, space: str, dimension: int, moments: Sequence[Moment]) -> Floats:
    """(n, dimension) in the order of the moments."""
    rows = np.full((len(moments), dimension), np.nan, dtype=np.float32)
    for first in range(0, len(moments), _ROWS_A_CALL):
        part = moments[first : first + _ROWS_A_CALL]
        keys = [f"{stream}|{start_ns}|{space}" for stream, start_ns in part]
        place = {key: first + offset for offset, key in enumerate(keys)}
        for row in _read(reader, collection_name("windows", space), keys):
            rows[place[row["key"]]] = row["vector"]
    return rows


def _read(reader: Reader, collection: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    def question(client: MilvusClient) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = client.query(
            collection,
            filter=any_of("key", keys),
            output_fields=["key", "vector"],
            timeout=_TIMEOUT_S,
        )
        return rows

    yield from reader.ask(question, collection)
