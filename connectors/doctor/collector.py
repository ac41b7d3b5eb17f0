"""The collector of OpenTelemetry: whether anybody takes spans where they would be posted.

An empty request of OTLP/HTTP is posted (a protobuf message without fields has no bytes), which a
collector answers and forgets. Invariant: no word of the address that may be secret is shown.
"""

from collections.abc import Iterator
from http import client
from urllib.parse import SplitResult, urlsplit

from connectors.doctor.asked import Asked
from connectors.doctor.background import begin
from connectors.doctor.finding import Finding, words

_ON = "switch it on: OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4318"
_REMEDY = "start it, or name the right one in OTEL_EXPORTER_OTLP_ENDPOINT (http://host:4318)"
_CONTENT = {"Content-Type": "application/x-protobuf"}


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Post nothing, and hear who answers."""
    if asked.collector is None:
        yield Finding("collector", "note", "off: no spans are sent", _ON)
        return
    address = urlsplit(asked.collector)
    if address.scheme not in ("http", "https") or not address.hostname:
        detail = f"'{_shown(address)}' is no address of a collector"
        yield Finding("collector", "broken", detail, _REMEDY)
        return
    shown = _shown(address)
    try:
        status = begin(lambda: _post(address, patience_s)).result(patience_s)
    except TimeoutError:
        detail = f"{shown}: no answer within {patience_s:g} s"
    except client.HTTPException:
        detail = f"{shown}: what answers there does not speak HTTP; is it the port for gRPC (4317)?"
    except (OSError, ValueError) as error:
        detail = f"{shown}: {words(error)}"
    else:
        detail = f"{shown} answers {status}"
        if status < 500 and status != 404:
            yield Finding("collector", "ok", detail)
            return
        detail += ": nothing takes spans there" if status == 404 else ""
    yield Finding("collector", "broken", detail, _REMEDY)


def _post(address: SplitResult, patience_s: float) -> int:
    """The status of the answer.

    Raises:
        OSError: nobody answers there.
        HTTPException: what is answered is no HTTP.
        ValueError: there is no such port.
    """
    kind = client.HTTPSConnection if address.scheme == "https" else client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=patience_s)
    try:
        query = f"?{address.query}" if address.query else ""
        connection.request("POST", f"{address.path or '/'}{query}", b"", _CONTENT)
        return connection.getresponse().status
    finally:
        connection.close()


def _shown(address: SplitResult) -> str:
    """The address without a name, a password or a query."""
    place = address.netloc.rpartition("@")[2]
    return f"{address.scheme}://{place}{address.path}" if place else address.path
