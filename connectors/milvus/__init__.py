"""The Milvus store: its process, layout, writer and queries."""

from connectors.milvus.errors import (
    StoreError,
    StoreHeld,
    StoreMissing,
    StoreUnreachable,
    StoreUnwritable,
    StoreVersion,
)

__all__ = [
    "StoreError",
    "StoreHeld",
    "StoreMissing",
    "StoreUnreachable",
    "StoreUnwritable",
    "StoreVersion",
]
