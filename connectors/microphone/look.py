"""``python -m connectors.microphone.look``: would these microphones deliver audio now?

Reads requests as JSON, ``[[device, channel, rate_hz], ...]``, from its one argument and writes a
list of what is in the way of each ("": nothing) to stdout. A device that is listed may still be
in use elsewhere, and a sound server's may be gone behind it: only a first block proves it.
"""

import json
import sys
import threading
import time
from collections.abc import Sequence

from connectors.microphone.devices import opening
from connectors.microphone.errors import SoundError
from connectors.microphone.options import MicOptions
from connectors.microphone.portaudio import PortAudio, Stream
from connectors.microphone.target import Target


def look(requests: Sequence[tuple[str, int | None, int]], first_s: float = 5.0) -> list[str]:
    """What is in the way of hearing each (device, channel, rate) now; "" where nothing is.

    Args:
        requests: the microphones.
        first_s: how long to wait for their first audio, all together.
    """
    sound = PortAudio()
    deadline_s = time.monotonic() + first_s
    tries = [_Try(sound, Target(device, channel), rate) for device, channel, rate in requests]
    try:
        return [attempt.obstacle(deadline_s) for attempt in tries]
    finally:
        for attempt in tries:
            attempt.close()
        sound.stop()


class _Try:
    """One microphone opened, until its first block."""

    def __init__(self, sound: PortAudio, target: Target, rate_hz: int) -> None:
        self._heard = False
        self._settled = threading.Event()
        self._refused = ""
        self._stream: Stream | None = None
        try:
            plan = opening(sound.devices(), target, MicOptions(rate_hz=rate_hz))
            self._stream = sound.open(plan, self._on_block, self._settled.set)
        except SoundError as error:
            self._refused = error.detail
            self._settled.set()

    def obstacle(self, deadline_s: float) -> str:
        """Why nothing is heard by then; "" once something was."""
        self._settled.wait(max(0.0, deadline_s - time.monotonic()))
        return "" if self._heard else self._refused or "it is there, but no audio comes from it"

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _on_block(self, *_: object) -> None:
        self._heard = True
        self._settled.set()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(look(json.loads(sys.argv[1]))))
