"""What telemetry was asked for: grym's own settings over OpenTelemetry's variables over defaults.

Variables are those of the specification
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/); what only
concerns an exporter or a queue (headers, certificates, OTEL_BSP_*) the SDK reads by itself.

Invariant: a plan is decided before anything is loaded; what cannot be meant is refused in one line
that names the variable, its value and what is expected.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Exporter: TypeAlias = Literal["auto", "off", "console", "otlp"]
Signal: TypeAlias = Literal["TRACES", "METRICS"]

SIGNALS: Final[tuple[Signal, ...]] = ("TRACES", "METRICS")
DEFAULT_RATIO: Final = 0.05
DEFAULT_INTERVAL_MS: Final = 15_000
DEFAULT_PROMETHEUS: Final = ("localhost", 9464)
_HTTP: Final = ("http://", "https://")
_EXPECTED_ADDRESS: Final = "expected the address of a collector, such as http://localhost:4318"
_KNOWN: Final = ("otlp", "console", "none")
_RATIO_SAMPLERS: Final = ("traceidratio", "parentbased_traceidratio")
_FIXED_SAMPLERS: Final = {
    "always_on": 1.0,
    "parentbased_always_on": 1.0,
    "always_off": 0.0,
    "parentbased_always_off": 0.0,
}


class TelemetryError(ValueError):
    """Telemetry cannot be had as it was asked for; one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be set up.

    Attributes:
        traces: where spans go: "otlp" and "console".
        metrics: where metrics are sent; likewise.
        prometheus: host and port at which they can be fetched; None: nowhere.
        sample_ratio: share of the windows that are traced, within [0, 1].
        service_name: the resource's ``service.name``.
        endpoints: signal -> the address it is sent to; without one the SDK's variables hold.
        compressed: OTLP is sent with gzip; else as the SDK's variables say.
        interval_ms: between two exports of metrics.
    """

    traces: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    prometheus: tuple[str, int] | None = None
    sample_ratio: float = DEFAULT_RATIO
    service_name: str = "grym-flow"
    endpoints: Mapping[Signal, str] | None = None
    compressed: bool = True
    interval_ms: float = DEFAULT_INTERVAL_MS

    @property
    def off(self) -> bool:
        """Nothing was asked for."""
        return not (self.traces or self.metrics or self.prometheus)


def plan_of(
    *,
    exporter: Exporter = "auto",
    endpoint: str | None = None,
    sample_ratio: float | None = None,
    prometheus: str | None = None,
    service_name: str = "grym-flow",
    environ: Mapping[str, str] = os.environ,
) -> Plan:
    """Decide.

    Args:
        exporter: "auto" goes by the variables, and is off where none asks for anything.
        endpoint: base address of a collector (OTLP over HTTP), as in http://localhost:4318.
        sample_ratio: share of the windows that are traced; None goes by the variables.
        prometheus: host:port at which metrics can be fetched as well.
        service_name: where no variable names another one.
        environ: the variables.

    Raises:
        TelemetryError: a variable says what cannot be meant.
    """
    said = {name: value.strip() for name, value in environ.items() if value.strip()}
    if exporter == "off" or said.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Plan()
    traces, metrics = (_exporters(signal, exporter, endpoint, said) for signal in SIGNALS)
    fetched = _address(prometheus, "telemetry.prometheus") if prometheus else None
    if fetched is None and "prometheus" in metrics:
        fetched = _prometheus(said)
    if "otlp" in traces | metrics:
        _check_protocol(said)
    return Plan(
        traces=traces,
        metrics=metrics - {"prometheus"},
        prometheus=fetched,
        sample_ratio=_ratio(said) if sample_ratio is None else sample_ratio,
        service_name=_service(said) or service_name,
        endpoints=_endpoints(endpoint) if endpoint else None,
        compressed=not any(name.endswith("_COMPRESSION") for name in said if _is_otlp(name)),
        interval_ms=_interval_ms(said),
    )


def _exporters(
    signal: Signal, exporter: Exporter, endpoint: str | None, said: Mapping[str, str]
) -> frozenset[str]:
    """Where a signal goes."""
    if exporter != "auto":
        return frozenset((exporter,))
    variable = f"OTEL_{signal}_EXPORTER"
    if variable not in said:
        own, common = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
        asked = endpoint or said.get(own) or said.get(common)
        return frozenset(("otlp",)) if asked else frozenset()
    known = (*_KNOWN, "prometheus") if signal == "METRICS" else _KNOWN
    names = {name.strip().lower() for name in said[variable].split(",")}
    for name in sorted(names - set(known)):
        raise TelemetryError(f"{variable}={name}: expected {', '.join(known)}")
    return frozenset(names - {"none"})


def _check_protocol(said: Mapping[str, str]) -> None:
    for name in ("", *(f"{signal}_" for signal in SIGNALS)):
        variable = f"OTEL_EXPORTER_OTLP_{name}ENDPOINT"
        if variable in said and not said[variable].startswith(_HTTP):
            raise TelemetryError(f"{variable}={said[variable]}: {_EXPECTED_ADDRESS}")
    for name in (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        *(f"OTEL_EXPORTER_OTLP_{s}_PROTOCOL" for s in SIGNALS),
    ):
        if said.get(name, "http/protobuf") != "http/protobuf":
            raise TelemetryError(
                f"{name}={said[name]}: grym sends OTLP as http/protobuf, to port 4318 as a rule;"
                " unset it, and point the endpoint there"
            )


def _ratio(said: Mapping[str, str]) -> float:
    sampler = said.get("OTEL_TRACES_SAMPLER", _RATIO_SAMPLERS[0]).lower()
    if sampler in _FIXED_SAMPLERS:
        return _FIXED_SAMPLERS[sampler]
    if sampler not in _RATIO_SAMPLERS:
        expected = ", ".join((*_RATIO_SAMPLERS, *_FIXED_SAMPLERS))
        raise TelemetryError(f"OTEL_TRACES_SAMPLER={sampler}: expected one of {expected}")
    return _number(said, "OTEL_TRACES_SAMPLER_ARG", DEFAULT_RATIO, 0.0, 1.0)


def _interval_ms(said: Mapping[str, str]) -> float:
    return _number(said, "OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL_MS, 100.0, 86_400_000.0)


def _number(said: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = said.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise TelemetryError(f"{name}={text}: expected a number from {least:g} to {most:g}")
    return value


def _service(said: Mapping[str, str]) -> str:
    """What the variables call this service; "" where they do not."""
    if "OTEL_SERVICE_NAME" in said:
        return said["OTEL_SERVICE_NAME"]
    for pair in said.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, _, value = pair.partition("=")
        if key.strip() == "service.name":
            return value.strip()
    return ""


def _endpoints(base: str) -> dict[Signal, str]:
    if not base.startswith(_HTTP):
        raise TelemetryError(f"telemetry.endpoint = {base!r}: {_EXPECTED_ADDRESS}")
    return {signal: f"{base.rstrip('/')}/v1/{signal.lower()}" for signal in SIGNALS}


def _prometheus(said: Mapping[str, str]) -> tuple[str, int]:
    host = said.get("OTEL_EXPORTER_PROMETHEUS_HOST", DEFAULT_PROMETHEUS[0])
    port = said.get("OTEL_EXPORTER_PROMETHEUS_PORT", str(DEFAULT_PROMETHEUS[1]))
    return _address(f"{host}:{port}", "OTEL_EXPORTER_PROMETHEUS_HOST and _PORT")


def _address(text: str, name: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not port.isascii() or not 0 < int(port) < 1 << 16:
        raise TelemetryError(f"{name} = {text!r}: expected host:port, such as 127.0.0.1:9464")
    return host, int(port)


def _is_otlp(name: str) -> bool:
    return name.startswith("OTEL_EXPORTER_OTLP_")
