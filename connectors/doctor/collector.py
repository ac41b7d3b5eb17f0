"""The collector of OpenTelemetry: whether it takes what would be posted, and so for each address.

An empty request of OTLP/HTTP is posted (a protobuf message without fields has no bytes), with the
headers and certificates that an exporter would use; a collector answers it and forgets. What can
be fetched instead needs an address that is free. Invariant: no word that may be secret is shown.
"""

import socket
import ssl
from collections.abc import Iterator
from http import client
from urllib.parse import SplitResult, urlsplit

from connectors.doctor.asked import Asked
from connectors.doctor.background import begin
from connectors.doctor.finding import Finding, words
from connectors.otlp.posting import Post

_ON = "switch it on: OTEL_EXPORTER_OTLP_ENDPOINT=http://host:4318"
_REMEDY = "start it, or name the right one in OTEL_EXPORTER_OTLP_ENDPOINT (http://host:4318)"
_CONTENT = {"Content-Type": "application/x-protobuf"}
_REFUSED = {
    401: "give it what it asks for in OTEL_EXPORTER_OTLP_HEADERS",
    403: "give it what it asks for in OTEL_EXPORTER_OTLP_HEADERS",
}
_UNSURE = (400, 415)
"""What a server may answer that wants more than an empty request."""


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Post nothing to each address, and hear who answers."""
    if asked.prometheus is not None:
        yield _free(*asked.prometheus)
    elif not asked.posts:
        yield Finding("collector", "note", "off: nothing is sent", _ON)
    for post in asked.posts:
        yield _answering(post, patience_s)


def _answering(post: Post, patience_s: float) -> Finding:
    address = urlsplit(post.url)
    shown = _shown(address)
    if address.scheme not in ("http", "https") or not address.hostname:
        detail = f"'{shown}' is no address of a collector"
        return Finding("collector", "broken", detail, _REMEDY)
    try:
        status = begin(lambda: _post(post, address, patience_s)).result(patience_s)
    except TimeoutError:
        detail = f"{shown}: no answer within {patience_s:g} s"
    except client.HTTPException:
        detail = f"{shown}: what answers there does not speak HTTP; is it the port for gRPC (4317)?"
    except (OSError, ValueError) as error:
        detail = f"{shown}: {words(error)}"
    else:
        return _judged(f"{shown} answers {status}", status)
    return Finding("collector", "broken", detail, _REMEDY)


def _judged(detail: str, status: int) -> Finding:
    if status // 100 == 2:
        return Finding("collector", "ok", detail)
    if status in _UNSURE:
        detail += " to an empty request, which may be all it has against it"
        return Finding("collector", "note", detail, "look at its log while grym listens")
    detail += "" if status >= 500 else ": nothing is taken there"
    return Finding("collector", "broken", detail, _REFUSED.get(status, _REMEDY))


def _free(host: str, port: int) -> Finding:
    """Whether metrics could be served at an address."""
    try:
        with socket.create_server((host, port)):
            return Finding("collector", "ok", f"metrics can be served at {host}:{port}")
    except OSError as error:
        detail = f"metrics cannot be served at {host}:{port}: {words(error)}"
        remedy = "name another address with telemetry.prometheus, or stop who has it"
        return Finding("collector", "broken", detail, remedy)


def _post(post: Post, address: SplitResult, patience_s: float) -> int:
    """The status of the answer.

    Raises:
        OSError: nobody answers there, or a certificate does not fit.
        HTTPException: what is answered is no HTTP.
        ValueError: there is no such port.
    """
    host = address.hostname or ""
    connection: client.HTTPConnection
    if address.scheme == "https":
        context = ssl.create_default_context(cafile=post.ca_file)
        if post.cert_file is not None:
            context.load_cert_chain(post.cert_file, post.key_file)
        connection = client.HTTPSConnection(host, address.port, timeout=patience_s, context=context)
    else:
        connection = client.HTTPConnection(host, address.port, timeout=patience_s)
    try:
        query = f"?{address.query}" if address.query else ""
        headers = {**dict(post.headers), **_CONTENT}
        connection.request("POST", f"{address.path or '/'}{query}", b"", headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _shown(address: SplitResult) -> str:
    """The address without a name, a password or a query."""
    place = address.netloc.rpartition("@")[2]
    return f"{address.scheme}://{place}{address.path}" if place else address.path
