"""What can be wrong with a store, each as one line for a person: the thing, the value, the remedy.

Invariant: every error that leaves ``connectors.milvus`` on opening or reading a store is a
``StoreError`` whose text can be printed as it is.
"""


class StoreError(Exception):
    """The store cannot be used; the text names it and says what to do."""


class StoreHeld(StoreError):  # noqa: N818  # named by what it says
    """Another process is already listening into this store.

    Attributes:
        pid: the holder, 0 where it could not be read.
        since: when it began, ISO 8601 in UTC, "" where it could not be read.
    """

    def __init__(self, message: str, *, pid: int = 0, since: str = "") -> None:
        super().__init__(message)
        self.pid = pid
        self.since = since


class StoreUnwritable(StoreError):  # noqa: N818  # named by what it says
    """The place where the store should live cannot be written."""


class StoreUnreachable(StoreError):  # noqa: N818  # named by what it says
    """No store answers at the address, or the store process could not be started."""


class StoreMissing(StoreError):  # noqa: N818  # named by what it says
    """Nothing has been heard into this store yet."""


class StoreVersion(StoreError):  # noqa: N818  # named by what it says
    """The store was written with another layout of its collections."""
