"""The environment of a child that is not measured: with coverage it takes half as long again.

For children that are killed, which leave no data, and for those that run once more, in a process of
their own, what other tests run in theirs.
"""

import os

_MEASURED = "COVERAGE_PROCESS_CONFIG"


def unmeasured(**env: str) -> dict[str, str]:
    """Our own environment but for that, and what is given."""
    return {**{name: value for name, value in os.environ.items() if name != _MEASURED}, **env}
