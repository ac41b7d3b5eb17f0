"""Metrics on the OpenTelemetry API: nothing is measured, and nothing costs, until an SDK is there.

Invariant: no attribute names a stream, because there may be thousands of them.
"""

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter

NAME = "grym"


def source_lag(lag_s: Callable[[], float | None], meter: Meter | None = None) -> None:
    """The gauge ``grym.source.lag``: seconds by which the slowest source is behind.

    Args:
        lag_s: asked whenever metrics are collected; None where no source knows.
        meter: of the process, if not given.
    """

    def observe(_: CallbackOptions) -> Iterable[Observation]:
        value = lag_s()
        return [] if value is None else [Observation(value)]

    (meter or get_meter(NAME)).create_observable_gauge(
        "grym.source.lag", [observe], unit="s", description="Distance to the newest audio there is"
    )
