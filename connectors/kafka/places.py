"""Which stream comes from where in this process: one key in two places is two different sounds.

Invariant: a stream has one place as long as the source that claimed it is open.
"""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A partition, as one source reads it."""

    source: int
    topic: str
    partition: int


class Places:
    """The places of the streams of a process; thread-safe."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._owners: dict[str, Place] = {}

    def claim(self, stream: str, place: Place) -> Place:
        """Whose stream it is: ``place``, unless another claimed it before."""
        with self._turn:
            return self._owners.setdefault(stream, place)

    def move(self, stream: str, place: Place) -> None:
        """Who claimed it reads it elsewhere from now on."""
        with self._turn:
            self._owners[stream] = place

    def release(self, source: int) -> None:
        """A source has ended: its streams may come from elsewhere."""
        with self._turn:
            left = {name: at for name, at in self._owners.items() if at.source != source}
            self._owners = left


PLACES = Places()
"""Of this process."""
