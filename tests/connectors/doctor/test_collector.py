from collections.abc import Callable
from typing import Any

import pytest

from connectors.doctor.asked import Asked
from connectors.doctor.collector import check
from connectors.doctor.finding import Finding

PATIENCE_S = 60.0


def found(endpoint: str | None, patience_s: float = PATIENCE_S) -> Finding:
    (finding,) = check(Asked(collector=endpoint), patience_s)
    return finding


def test_off_is_no_defect_and_says_how_to_switch_it_on() -> None:
    finding = found(None)
    assert finding.status == "note"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http" in str(finding.remedy)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "ok"), (400, "ok"), (401, "ok"), (415, "ok"), (404, "broken"), (503, "broken")],
)
def test_whoever_knows_the_path_and_is_well_is_there(
    collector: Callable[[int], Any], status: int, verdict: str
) -> None:
    server = collector(status)
    finding = found(f"http://{server.address}/v1/traces")
    assert finding.status == verdict
    assert finding.detail.startswith(f"http://{server.address}/v1/traces answers {status}")
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
