"""Checks in a process of their own: what they load may crash, hang or take long.

Invariant: every check that was asked for has findings within the time given, and the process has
ended; who crashed is named, and those after it are made in another process.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from connectors.doctor import checks
from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding, Status

_PACKAGES = Path(__file__).resolve().parents[2]


def make_apart(
    names: Sequence[str], asked: Asked, patience_s: float, limit_s: float
) -> dict[str, tuple[Finding, ...]]:
    """What the checks found, by name.

    Args:
        names: of checks, in the order in which they are made.
        asked: what they are asked about.
        patience_s: as for each check.
        limit_s: seconds for all of them together; who is late is told as such.
    """
    deadline_s = time.monotonic() + limit_s
    found: dict[str, tuple[Finding, ...]] = {}
    while left := [name for name in names if name not in found]:
        request = {
            "checks": {name: checks.CHECKS[name] for name in left},
            "asked": asked.for_a_child(),
            "patience_s": patience_s,
        }
        left_s = deadline_s - time.monotonic()
        answered, status = _answers(request, left_s) if left_s > 0 else ({}, 0)
        found |= answered
        left = [name for name in left if name not in found]
        if time.monotonic() >= deadline_s:
            found |= {name: (late(name, asked, limit_s),) for name in left}
        elif left:
            found[left[0]] = (_crashed(left[0], status),)
    return found


def late(name: str, asked: Asked, limit_s: float) -> Finding:
    """A check that nobody waits for any longer."""
    detail = f"not known within {limit_s:g} s"
    status: Status = "broken" if asked.needs(name) else "note"
    return Finding(name, status, detail, "ask again when this machine is less busy")


def _answers(
    request: dict[str, object], limit_s: float
) -> tuple[dict[str, tuple[Finding, ...]], int]:
    """What a process told before it ended, and its status."""
    paths = [str(_PACKAGES), os.environ.get("PYTHONPATH", "")]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "connectors.doctor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        text=True,
    ) as child:
        guard = threading.Timer(limit_s, child.kill)
        guard.daemon = True
        guard.start()
        try:
            said, _ = child.communicate(json.dumps({**request, "limit_s": limit_s}))
        finally:
            guard.cancel()
    answers = [json.loads(line) for line in said.splitlines(keepends=True) if line.endswith("\n")]
    return {
        answer["check"]: tuple(Finding(**finding) for finding in answer["findings"])
        for answer in answers
    }, child.returncode


def _crashed(name: str, status: int) -> Finding:
    ended = f"status {status}"
    if status < 0:
        ended = signal.Signals(-status).name
    detail = f"the process that looked ended with {ended}"
    return Finding(name, "broken", detail, "install grym anew: make install")
