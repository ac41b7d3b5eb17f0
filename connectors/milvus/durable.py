"""Makes Milvus Lite 3.2.2 keep through a power cut what it acknowledged.

As it comes, it leaves its log in the page cache until the log is no longer needed, and deletes it
after writing segments that it does not sync either: a power cut loses acknowledged rows or leaves
a torn segment, with which a collection never opens again. Here the log is synced with every write
and segments before they are entered into the manifest (which it syncs itself).

Invariant: nothing but the moment of ``fsync`` changes. It leans on names inside the pinned
version; a test holds on to them.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from milvus_lite.engine import collection, compaction, flush
from milvus_lite.storage.wal import WAL


class SyncedLog(WAL):  # type: ignore[misc]  # milvus_lite carries no annotations
    """The log of a collection, on the disk before a write is acknowledged."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "sync_mode": "batch"})


def install() -> None:
    """Apply it to this process; before the first collection is opened."""
    collection.WAL = SyncedLog
    flush.write_data_file = _synced(flush.write_data_file)
    flush.write_delta_file = _synced(flush.write_delta_file)
    compaction.write_data_file = _synced(compaction.write_data_file)


def _synced(write: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(write)
    def write_and_sync(table: Any, partition_dir: str, *args: Any, **kwargs: Any) -> str:
        relative = write(table, partition_dir, *args, **kwargs)
        path = Path(partition_dir) / relative
        for place in (path, path.parent):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return relative

    return write_and_sync
