"""What a partition holds, entry by entry: records, and stretches that nobody can read.

Invariant: entries are never changed once they were handed on. It knows no driver.
"""

from dataclasses import dataclass
from typing import TypeAlias

from connectors.kafka.headers import BadMessage


class Record:
    """One record of a topic.

    Attributes:
        offset: its place in the partition.
        timestamp: epoch milliseconds, of the producer or the broker as the topic is configured.
        key, value: as sent; None where null.
        headers: name and value, in order.
        size: bytes of its value.
    """

    __slots__ = ("headers", "key", "offset", "size", "timestamp", "value")

    def __init__(
        self,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes | None]],
    ) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headers = headers
        self.size = len(value) if value is not None else 0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Records that nobody can read.

    Attributes:
        offset: of the first of them.
        last: offset of the last of them, as far as that can be known.
        bad: why.
        raw: their bytes.
        timestamp: epoch milliseconds; -1 where unknown.
    """

    offset: int
    last: int
    bad: BadMessage
    raw: bytes
    timestamp: int = -1

    @property
    def size(self) -> int:
        """Bytes that it takes up."""
        return len(self.raw)


Entry: TypeAlias = Record | Unreadable
