"""Where telemetry is posted, and with what, as the exporters of the SDK read it from variables.

Invariant: nothing is opened here; headers may hold secrets and are not shown.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.util.re import parse_env_headers

from connectors.otlp.plan import SIGNALS, Plan, Signal

_DEFAULT_COLLECTOR: Final = "http://localhost:4318"


@dataclass(frozen=True, slots=True)
class Post:
    """One address that a signal is posted to.

    Attributes:
        url: whole.
        headers: name and value; may be secret.
        ca_file, cert_file, key_file: who signed the server's certificate; our own, and its key.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


def posts(plan: Plan, environ: Mapping[str, str] = os.environ) -> tuple[Post, ...]:
    """The addresses of a plan, each once; none where nothing is posted."""
    wanted = {"TRACES": plan.traces, "METRICS": plan.metrics}
    found = [_post(plan, signal, environ) for signal in SIGNALS if "otlp" in wanted[signal]]
    return tuple({post.url: post for post in found}.values())


def _post(plan: Plan, signal: Signal, environ: Mapping[str, str]) -> Post:
    def said(name: str) -> str | None:
        own, common = f"OTEL_EXPORTER_OTLP_{signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}"
        return environ.get(own) or environ.get(common) or None

    if plan.endpoints is not None:
        url = plan.endpoints[signal]
    else:
        base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or _DEFAULT_COLLECTOR
        whole = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
        url = whole or f"{base.rstrip('/')}/v1/{signal.lower()}"
    return Post(
        url,
        tuple(parse_env_headers(said("HEADERS") or "", liberal=True).items()),
        said("CERTIFICATE"),
        said("CLIENT_CERTIFICATE"),
        said("CLIENT_KEY"),
    )
