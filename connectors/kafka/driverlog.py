"""What kafka-python has to say: kept for whoever explains a failure, not poured over stderr.

The driver raises a bare timeout for a refused certificate or a wrong password and logs the cause;
while a broker is away it logs several lines a second.

Invariant: nothing below a warning is ever taken (requests with credentials are logged as such),
and secrets are taken out of what is handed on.
"""

import logging
import threading
from collections import deque
from typing import ClassVar, Final, Optional

_KEPT: Final = 64
_LONGEST: Final = 200
_DRIVER: Final = "kafka"
_SAY_NOTHING: Final = ("Bootstrap ", "No node available")


class DriverLog(logging.Handler):
    """Keeps the last lines of the driver; one for the process."""

    _installed: ClassVar[Optional["DriverLog"]] = None
    _turn: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[tuple[str, str]] = deque(maxlen=_KEPT)

    @classmethod
    def installed(cls) -> "DriverLog":
        """The log of this process; from the first call on, the driver's lines go nowhere else."""
        with cls._turn:
            if cls._installed is None:
                cls._installed = cls()
                driver = logging.getLogger(_DRIVER)
                driver.addHandler(cls._installed)
                driver.setLevel(logging.WARNING)
                driver.propagate = False
            return cls._installed

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line that tells why, without the name of the connection before it."""
        line = " ".join(record.getMessage().split()).rpartition(">: ")[2]
        if not line.startswith(_SAY_NOTHING):
            self._lines.append((record.threadName or "", line))

    def last(self, client: str, secrets: tuple[str, ...] = ()) -> str:
        """What a client said last, by its id; "" where it said nothing."""
        lines = [line for thread, line in list(self._lines) if client in thread]
        return hidden(lines[-1], secrets)[:_LONGEST] if lines else ""


def hidden(text: str, secrets: tuple[str, ...]) -> str:
    """A text without the secrets, of which one may begin another."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
