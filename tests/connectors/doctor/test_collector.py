from collections.abc import Callable
from typing import Any

import pytest

from connectors.doctor.asked import Asked
from connectors.doctor.collector import check
from connectors.doctor.finding import Finding
from connectors.otlp import Post

PATIENCE_S = 60.0
HEADERS = (("authorization", "Bearer hunter2"),)


def found(endpoint: str | None, patience_s: float = PATIENCE_S) -> Finding:
    posts = () if endpoint is None else (Post(endpoint, HEADERS),)
    (finding,) = check(Asked(posts=posts), patience_s)
    return finding


def test_off_is_no_defect_and_says_how_to_switch_it_on() -> None:
    finding = found(None)
    assert finding.status == "note"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http" in str(finding.remedy)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((200, "ok"), (202, "ok"), (400, "note"), (415, "note")),
        *((301, "broken"), (401, "broken"), (404, "broken"), (405, "broken"), (503, "broken")),
    ],
)
def test_whoever_takes_it_is_there(
    collector: Callable[[int], Any], status: int, verdict: str
) -> None:
    server = collector(status)
    finding = found(f"http://{server.address}/v1/traces")
    assert finding.status == verdict
    assert finding.detail.startswith(f"http://{server.address}/v1/traces answers {status}")
    assert ("OTEL_EXPORTER_OTLP_HEADERS" in str(finding.remedy)) == (status == 401)
    assert server.asked == [("/v1/traces", "application/x-protobuf", b"")]


def test_who_accepts_and_says_nothing_is_given_up(black_hole: str) -> None:
    finding = found(f"http://{black_hole}/v1/traces", patience_s=0.1)
    assert finding.status == "broken"
    assert finding.detail == f"http://{black_hole}/v1/traces: no answer within 0.1 s"


def test_nobody_there_names_the_address_and_the_remedy(nobody: str) -> None:
    finding = found(f"http://{nobody}/v1/traces")
    assert finding.status == "broken"
    assert finding.detail == f"http://{nobody}/v1/traces: Connection refused"
    assert "start it" in str(finding.remedy)


def test_the_port_for_grpc_is_suspected_where_no_http_is_spoken(babble: str) -> None:
    finding = found(f"http://{babble}/v1/traces")
    assert finding.status == "broken"
    assert "is it the port for gRPC (4317)?" in finding.detail


@pytest.mark.parametrize(
    "endpoint",
    ["localhost:4318/v1/traces", "grpc://hub:4317", "http:///v1/traces", "http://hub:port/v1"],
)
def test_what_is_no_address_is_said(endpoint: str) -> None:
    finding = found(endpoint)
    assert finding.status == "broken"
    assert finding.remedy is not None


def test_no_secret_of_the_address_is_shown(nobody: str) -> None:
    finding = found(f"http://hub:hunter2@{nobody}/v1/traces?key=hunter3")
    assert finding.status == "broken"
    assert "hunter" not in finding.detail


def test_where_metrics_are_to_be_served_has_to_be_free(nobody: str, black_hole: str) -> None:
    host, _, port = nobody.rpartition(":")
    (free,) = check(Asked(prometheus=(host, int(port))), PATIENCE_S)
    assert (free.status, free.detail) == ("ok", f"metrics can be served at {nobody}")
    host, _, port = black_hole.rpartition(":")
    (taken,) = check(Asked(prometheus=(host, int(port))), PATIENCE_S)
    assert taken.status == "broken"
    assert "in use" in taken.detail


def test_each_address_is_told_apart(collector: Callable[[int], Any], nobody: str) -> None:
    server = collector(200)
    asked = Asked(posts=(Post(f"http://{server.address}/v1/traces"), Post(f"http://{nobody}/m")))
    assert [finding.status for finding in check(asked, PATIENCE_S)] == ["ok", "broken"]
