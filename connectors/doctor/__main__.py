"""``python -m connectors.doctor``: the checks that ``apart`` makes in a process of its own.

Reads a request as JSON from stdin and writes an object a check to stdout as soon as it is made.
What libraries print goes to stderr, and the process ends by itself when its time is over: whoever
asked may have gone.
"""

import json
import math
import os
import signal
import sys
from dataclasses import asdict

from connectors.doctor.asked import in_a_child
from connectors.doctor.checks import make


def main() -> None:
    """Make the checks that are asked for."""
    request = json.load(sys.stdin)
    signal.alarm(math.ceil(request["limit_s"]) + 1)
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = in_a_child(request["asked"])
    for name, target in request["checks"].items():
        findings = make(name, target, asked, request["patience_s"])
        answer = {"check": name, "findings": [asdict(finding) for finding in findings]}
        told.write(json.dumps(answer) + "\n")
        told.flush()
    # What was loaded is not torn down: that takes time, and may hang.
    os._exit(0)


if __name__ == "__main__":
    main()
