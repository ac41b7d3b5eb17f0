"""Asks a process of its own whether lost microphones would deliver audio again.

PortAudio sees a device that came back only after a new start, which cuts off every other
microphone, and it waits as long as a frozen sound server does not answer. So while anything is
still heard a child process (``connectors.microphone.look``) tries first.

Invariant: asking never blocks, and a child that does not answer in time is ended.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from connectors.microphone.target import Target

PATIENCE_S = 10.0
_SILENT = "the sound system does not answer"
_PACKAGES = Path(__file__).resolve().parents[2]


class Probe:
    """One look at lost microphones, under way from its construction.

    Args:
        wanted: each microphone and the sample rate it is captured at (0: the device's own).

    Raises:
        OSError: this machine starts no further process now.
    """

    def __init__(self, wanted: Sequence[tuple[Target, int]]) -> None:
        self._count = len(wanted)
        self._deadline_s = time.monotonic() + PATIENCE_S
        requests = [(target.device, target.channel, rate_hz) for target, rate_hz in wanted]
        paths = [str(_PACKAGES), os.environ.get("PYTHONPATH", "")]
        self._child = subprocess.Popen(  # noqa: S603  # our own module, arguments as JSON
            [sys.executable, "-P", "-m", "connectors.microphone.look", json.dumps(requests)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,
        )

    def answer(self) -> list[str] | None:
        """What is in the way of each microphone ("": nothing); None while nobody knows yet.

        A child that ended without an answer, or with one that cannot be, has heard nothing.
        """
        if self._child.poll() is None:
            if time.monotonic() < self._deadline_s:
                return None
            self.close()
        said, _ = self._child.communicate()
        try:
            answer = json.loads(said)
        except ValueError:
            answer = None
        if not isinstance(answer, list) or len(answer) != self._count:
            return [_SILENT] * self._count
        return [str(line) for line in answer]

    def close(self) -> None:
        """End the child; may be called twice."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
