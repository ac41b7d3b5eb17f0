"""Starts telemetry by a plan, and ends it within bounds.

Invariant: ``Running.close`` returns within its limit whatever exporters do, which is why the SDK's
own exit hooks (30 s by default) are switched off.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TextIO

from connectors.otlp.plan import Plan, TelemetryError

SHUTDOWN_S: Final = 3.0


class Running:
    """What ``start`` set up, to be closed once at the end of the process."""

    def __init__(self, shutdowns: Sequence[Callable[[], object]] = ()) -> None:
        self._shutdowns = tuple(shutdowns)

    def close(self, timeout_s: float = SHUTDOWN_S) -> bool:
        """Export what is queued and stop; give up after ``timeout_s``. A second call does nothing.

        Returns:
            False when an exporter did not finish in time (what it still held is lost).
        """
        shutdowns, self._shutdowns = self._shutdowns, ()
        # Daemon threads: an exporter that hangs must not keep the process alive either.
        threads = [
            threading.Thread(target=shutdown, name="telemetry-shutdown", daemon=True)
            for shutdown in shutdowns
        ]
        until_s = time.monotonic() + timeout_s
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


def start(plan: Plan, out: TextIO | None = None) -> Running:
    """Set up telemetry for this process; a plan that is off loads nothing.

    Where the process already has SDK providers (an application that embeds grym, or an earlier
    start), spans go to these exporters as well, the sampler in force stays, and metrics go where
    that provider sends them.

    Args:
        plan: what to set up.
        out: where "console" writes (default: stderr).

    Returns:
        A handle; close it before the process ends.

    Raises:
        TelemetryError: the address for Prometheus cannot be had, or the SDK refuses a variable.
    """
    if plan.off:
        return Running()
    from connectors.otlp import providers  # noqa: PLC0415 - the SDK takes 50 ms to load

    try:
        return Running(providers.set_up(plan, out))
    except TelemetryError:
        raise
    except ValueError as error:  # of a variable that only the SDK reads
        raise TelemetryError(
            f"telemetry: {' '.join(str(error).split())}; look at the OTEL_* variables"
        ) from None
