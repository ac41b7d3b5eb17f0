"""A process in which no provider was set."""

import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as meters
from opentelemetry.util._once import Once

from operators import metering, tracing
from operators.sampling import Sampling


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process had just begun."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(meters, "_METER_PROVIDER", None)
    monkeypatch.setattr(meters, "_METER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(tracing, "_sampling", Sampling())
    monkeypatch.setattr(metering, "_readings", {})
