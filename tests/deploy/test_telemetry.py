"""Collector, Prometheus, Grafana: what is defined is used and leads to a service that listens."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.deploy.promnames import EVERYWHERE, STRATEGY, label_of
from tests.deploy.reading import read_yaml, services

PORTS = {"jaeger": {4317, 4318, 13133, 16686}, "prometheus": {9090}, "grafana": {3000}}
"""Where images listen by default; the collector's ports stand in its own file."""
SECTIONS = {"global", "otlp", "storage", "scrape_configs"}


def collector() -> dict[str, Any]:
    found: dict[str, Any] = read_yaml("otel-collector.yaml")
    return found


def listening() -> dict[str, int]:
    """Protocols of the collector's receiver, and its health check -> port."""
    protocols = collector()["receivers"]["otlp"]["protocols"]
    ports = {name: int(it["endpoint"].rpartition(":")[2]) for name, it in protocols.items()}
    health = collector()["extensions"]["health_check"]["endpoint"]
    return {**ports, "health": int(health.rpartition(":")[2])}


def place(address: str) -> tuple[str | None, int | None]:
    parts = urlsplit(address if "://" in address else f"//{address}")
    return parts.hostname, parts.port


@pytest.mark.parametrize("kind", ["receivers", "processors", "exporters"])
def test_whatever_is_defined_is_used_and_the_other_way_round(kind: str) -> None:
    pipelines = collector()["service"]["pipelines"].values()
    used = {name for pipeline in pipelines for name in pipeline[kind]}
    assert used == set(collector()[kind])


def test_extensions_are_switched_on() -> None:
    assert collector()["service"]["extensions"] == list(collector()["extensions"])


@pytest.mark.parametrize(
    ("signal", "exporter"), [("traces", "otlp_grpc/jaeger"), ("metrics", "otlp_http/prometheus")]
)
def test_a_signal_goes_where_it_is_kept_and_memory_is_limited_first(
    signal: str, exporter: str
) -> None:
    pipeline = collector()["service"]["pipelines"][signal]
    assert pipeline["exporters"] == [exporter]
    assert pipeline["processors"] == ["memory_limiter", "batch"]
    host, port = place(collector()["exporters"][exporter]["endpoint"])
    assert port in PORTS[str(host)]
    assert host in services()["otel-collector"]["depends_on"]


def test_the_collector_listens_where_grym_sends_and_compose_publishes() -> None:
    sent = place(services()["grym-topic"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert sent == ("otel-collector", listening()["http"])
    published = {int(port.split(":")[-1]) for port in services()["otel-collector"]["ports"]}
    assert published == set(listening().values()) == {4317, 4318, 13133}


@pytest.mark.parametrize("name", sorted(PORTS))
def test_what_is_published_is_where_the_image_listens(name: str) -> None:
    published = {int(port.split(":")[-1]) for port in services()[name]["ports"]}
    assert published <= PORTS[name]
    asked = place(services()[name]["healthcheck"]["test"][-1])
    assert asked[0] == "localhost"
    assert asked[1] in PORTS[name]


def test_prometheus_takes_what_is_sent_and_keeps_exemplars() -> None:
    command = services()["prometheus"]["command"]
    assert "--web.enable-otlp-receiver" in command
    assert "--enable-feature=exemplar-storage" in command
    assert collector()["exporters"]["otlp_http/prometheus"]["endpoint"].endswith("/api/v1/otlp")


def test_prometheus_translates_names_as_the_dashboard_expects() -> None:
    config = read_yaml("prometheus.yaml")
    assert set(config) == SECTIONS
    assert config["otlp"]["translation_strategy"] == STRATEGY
    promoted = {label_of(name) for name in config["otlp"]["promote_resource_attributes"]}
    assert {"job", "instance", *promoted} == EVERYWHERE
    assert config["storage"]["exemplars"]["max_exemplars"] > 0


def test_the_configuration_that_is_mounted_is_the_one_that_is_named() -> None:
    for name in ("prometheus", "otel-collector"):
        service = services()[name]
        (flag,) = [word for word in service["command"] if word.startswith("--config")]
        targets = [mount.split(":")[1] for mount in service["volumes"]]
        assert flag.partition("=")[2] in targets


def test_milvus_finds_its_own_etcd() -> None:
    service = services()["milvus"]
    targets = [mount.split(":")[1] for mount in service["volumes"]]
    assert service["environment"]["ETCD_CONFIG_PATH"] in targets
    etcd = read_yaml("milvus/embed-etcd.yaml")
    assert place(etcd["listen-client-urls"]) == place(etcd["advertise-client-urls"])
    assert place(etcd["listen-client-urls"])[0] == "127.0.0.1"


def test_grafana_asks_services_where_they_listen() -> None:
    sources = read_yaml("grafana/provisioning/datasources/grym.yaml")["datasources"]
    for source in sources:
        host, port = place(source["url"])
        assert host in services()["grafana"]["depends_on"]
        assert port in PORTS[str(host)]
    by_type = {source["type"]: source for source in sources}
    interval_ms = services()["grym-topic"]["environment"]["OTEL_METRIC_EXPORT_INTERVAL"]
    assert by_type["prometheus"]["jsonData"]["timeInterval"] == f"{int(interval_ms) // 1000}s"
