import os
from pathlib import Path

import pytest
from milvus_lite.engine import collection, compaction, flush
from milvus_lite.schema.types import CollectionSchema, DataType, FieldSchema

from connectors.milvus import durable


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were synced, in order; Milvus Lite is put back as it was at the end."""
    names = ("WAL", "write_data_file", "write_delta_file")
    for module in (collection, compaction, flush):
        for name in filter(lambda name, module=module: hasattr(module, name), names):
            monkeypatch.setattr(module, name, getattr(module, name))
    seen: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return seen


def test_log_and_segments_are_on_the_disk_before_they_count(
    tmp_path: Path, synced: list[str]
) -> None:
    durable.install()
    schema = CollectionSchema(
        fields=[
            FieldSchema(name="key", dtype=DataType.VARCHAR, is_primary=True, max_length=64),
            FieldSchema(name="vector", dtype=DataType.FLOAT_VECTOR, dim=2),
        ]
    )
    rows = collection.Collection("c", str(tmp_path / "c"), schema)
    rows.upsert([{"key": "a", "vector": [1.0, 0.0]}])
    assert synced == ["wal_data_000001.arrow"]
    rows.delete(["a"])
    assert synced[1:] == ["wal_delta_000001.arrow"]
    synced.clear()
    rows.upsert([{"key": "b", "vector": [1.0, 0.0]}])
    rows.flush()
    rows.close()
    segment = next(name for name in synced if name.endswith(".parquet"))
    assert synced.index(segment) < next(n for n, x in enumerate(synced) if "manifest" in x)
    assert synced[synced.index(segment) + 1] == "data"
