"""The layout of the collections, written down once as data.

Every collection has the key ``key`` (VARCHAR) and one vector, because Milvus demands one: the
model's for windows and centroids, two constant numbers elsewhere. Collections of vectors exist
once for each vector space and are named after it; the space as it is spelled stands in the
property ``grym.space``, the layout's version in ``grym.schema``.

Invariant: what is described here is all that is ever written; a change of it changes
``SCHEMA_VERSION``, and a collection with another version or other fields is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymilvus import CollectionSchema, DataType, MilvusClient

from connectors.milvus.errors import StoreVersion

SCHEMA_VERSION = 1
MAX_TEXT = 65_535
DUMMY_VECTOR = (1.0, 0.0)

_VERSION_PROPERTY = "grym.schema"
_SPACE_PROPERTY = "grym.space"
_CELLS = 32


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a collection beside the key and the vector."""

    name: str
    kind: DataType
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of collection; ``space`` says that it carries a model's vectors."""

    kind: str
    columns: tuple[Column, ...]
    space: bool = False

    @property
    def names(self) -> list[str]:
        """Names of everything that is read back: the key and the columns, not the vector."""
        return ["key", *(column.name for column in self.columns)]


def _columns(
    *, text: str = "", whole: str = "", real: str = "", optional: str = "", yes_no: str = ""
) -> tuple[Column, ...]:
    def made() -> Iterator[Column]:
        kinds = ((text, DataType.VARCHAR), (whole, DataType.INT64), (yes_no, DataType.BOOL))
        for names, kind in kinds:
            yield from (Column(name, kind) for name in names.split())
        yield from (Column(name, DataType.DOUBLE) for name in real.split())
        yield from (Column(name, DataType.DOUBLE, nullable=True) for name in optional.split())

    return tuple(made())


LAYOUTS = {
    layout.kind: layout
    for layout in (
        Layout(
            "windows",
            _columns(
                text="stream traceparent",
                whole="start_ns",
                real="start_s duration_s rms_db",
                yes_no="onset",
            ),
            space=True,
        ),
        Layout("centroids", _columns(text="stream pattern", whole="count"), space=True),
        Layout(
            "patterns",
            _columns(
                text="stream pattern name status into template traceparent",
                whole="count first_ns last_ns",
                real="first_s last_s duration_s salience",
            ),
        ),
        Layout(
            "occurrences",
            _columns(
                text="stream pattern traceparent",
                whole="start_ns end_ns",
                real="start_s end_s score emitted_s",
                yes_no="backfilled",
            ),
        ),
        Layout(
            "relations",
            _columns(
                text="stream kind source target traceparent",
                whole="support",
                real="first_s last_s",
                optional="lag_s lag_sd_s period_s probability lift q",
                yes_no="indirect",
            ),
        ),
        Layout(
            "descriptions",
            _columns(text="stream pattern text model clip", whole="start_ns", real="start_s end_s"),
        ),
        Layout(
            "tags",
            _columns(text="stream kind", whole="start_ns", real="start_s duration_s score"),
        ),
    )
}


def collection_name(kind: str, space: str = "") -> str:
    """Name of a collection: the kind, and for vectors the space in letters Milvus accepts."""
    return f"{kind}_{re.sub(r'[^A-Za-z0-9_]', '_', space)}" if space else kind


def prepare(
    client: MilvusClient,
    layout: Layout,
    *,
    space: str,
    dimension: int,
    lite: bool,
    store: str,
    timeout_s: float,
) -> None:
    """Make a collection ready for writing: create, index and load it as far as it is not.

    Milvus Lite leaves rows unreachable in HNSW where they cluster tightly (milvus-lite #369), so
    it gets IVF_FLAT, searched in all cells and therefore exact; a server chooses by itself.

    Raises:
        StoreVersion: it is there with another layout.
    """
    name = collection_name(layout.kind, space)
    if client.has_collection(name, timeout=timeout_s):
        check(client.describe_collection(name, timeout=timeout_s), layout, store)
    else:
        client.create_collection(
            name,
            schema=_schema(layout, dimension),
            properties={_VERSION_PROPERTY: str(SCHEMA_VERSION), _SPACE_PROPERTY: space},
            timeout=timeout_s,
        )
    if not client.list_indexes(name, timeout=timeout_s):
        index = client.prepare_index_params()
        if layout.space:
            cells = {"nlist": _CELLS} if lite else {}
            kind = "IVF_FLAT" if lite else "AUTOINDEX"
            index.add_index("vector", index_type=kind, metric_type="COSINE", params=cells)
        else:
            index.add_index("vector", index_type="FLAT", metric_type="L2")
        # Not waited for (pymilvus would sleep half a second): loading waits as long as it takes.
        client.create_index(name, index, timeout=timeout_s, sync=False)
    client.load_collection(name, timeout=timeout_s)


def _schema(layout: Layout, dimension: int) -> CollectionSchema:
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=MAX_TEXT)
    for column in layout.columns:
        size = {"max_length": MAX_TEXT} if column.kind == DataType.VARCHAR else {}
        schema.add_field(column.name, column.kind, nullable=column.nullable, **size)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    return schema


def search_parameters(*, lite: bool) -> dict[str, Any]:
    """What a vector search asks for; on lite every cell is looked into."""
    return {"metric_type": "COSINE", "params": {"nprobe": _CELLS} if lite else {}}


def check(description: Mapping[str, Any], layout: Layout, store: str) -> None:
    """Refuse a collection that another version made.

    Raises:
        StoreVersion: naming the store, both versions and the remedy.
    """
    name = description["collection_name"]
    version = description.get("properties", {}).get(_VERSION_PROPERTY, "none")
    found = {field["name"] for field in description["fields"]}
    if version != str(SCHEMA_VERSION) or found != {*layout.names, "vector"}:
        raise StoreVersion(
            f"the collection {name} in {store} has layout {version}, this grym writes layout "
            f"{SCHEMA_VERSION}; use the grym that made it, or another store with --store"
        )


def space_of(description: Mapping[str, Any]) -> str:
    """The vector space a collection belongs to, as it is spelled; "" for none."""
    return str(description.get("properties", {}).get(_SPACE_PROPERTY, ""))


def layout_of(name: str) -> Layout | None:
    """The layout of a collection of ours by its name; None for somebody else's."""
    layout = LAYOUTS.get(name.partition("_")[0])
    if layout is None or layout.space != ("_" in name):
        return None
    return layout


def dimension_of(description: Mapping[str, Any]) -> int:
    """Length of the vectors of a collection."""
    vector = next(field for field in description["fields"] if field["name"] == "vector")
    return int(vector["params"]["dim"])
