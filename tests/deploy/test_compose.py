"""The compose file: valid, pinned, on loopback, and each service finds what it needs."""

import json
import re
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema.validators import validator_for

from tests.deploy.command import heard, parsed, settings_from
from tests.deploy.reading import (
    DEPLOY,
    ROOT,
    UID,
    interpolated,
    is_pinned,
    read_yaml,
    services,
    tag_of,
    variables,
)

OURS = ("grym-folder", "grym-topic")
PROFILES = {
    "core": {"grym-folder", "milvus"},
    "full": {
        *("grym-topic", "milvus", "kafka", "kafka-topics"),
        *("jaeger", "otel-collector", "prometheus", "grafana"),
    },
}
UNASKED = {
    "kafka-topics": "it ends",
    "otel-collector": "its image holds one program and nothing to ask it with",
    **dict.fromkeys(OURS, "their image brings its own"),
}
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY")

every_service = pytest.mark.parametrize("name", sorted(services()))


def environment(name: str) -> dict[str, str]:
    return {key: interpolated(value) for key, value in services()[name]["environment"].items()}


def command(name: str) -> list[str]:
    return [interpolated(word) for word in services()[name]["command"]]


def mounts(name: str) -> list[tuple[str, str]]:
    """Source and target of each mount."""
    found = []
    for mount in services()[name].get("volumes", []):
        if isinstance(mount, str):
            source, target = mount.split(":")[:2]
        else:
            source, target = mount["source"], mount["target"]
        found.append((source, target))
    return found


def test_it_is_valid_by_the_schema_of_the_compose_specification() -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    validator = validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(read_yaml("compose.yaml"))] == []
    assert not validator.is_valid({"services": {"a": {"image": "a:1", "port": ["1:1"]}}})


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_profile_starts_what_it_promises(profile: str) -> None:
    found = {name for name, service in services().items() if profile in service["profiles"]}
    assert found == PROFILES[profile]


@every_service
def test_an_image_is_pinned_to_a_version(name: str) -> None:
    image = services()[name]["image"]
    assert is_pinned(image), image
    assert tag_of(image) != "latest"


@every_service
def test_a_service_is_asked_for_its_health_or_there_is_a_reason(name: str) -> None:
    service = services()[name]
    assert ("healthcheck" in service) != (name in UNASKED)
    if name in OURS:
        assert "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


@every_service
def test_what_a_service_waits_for_is_there_and_comes_to_be(name: str) -> None:
    for other, how in services()[name].get("depends_on", {}).items():
        needed = services()[other]
        assert set(services()[name]["profiles"]) <= set(needed["profiles"])
        if how["condition"] == "service_healthy":
            assert "healthcheck" in needed
        elif how["condition"] == "service_completed_successfully":
            assert needed["restart"] == "no"
        else:
            assert other in UNASKED


@every_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in services()[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


@every_service
def test_what_is_mounted_exists(name: str) -> None:
    volumes = read_yaml("compose.yaml")["volumes"]
    for source, _ in mounts(name):
        if source.startswith("./"):
            assert (DEPLOY / source).exists(), source
        elif not variables(source):
            assert source in volumes


@every_service
def test_no_secret_stands_in_the_file(name: str) -> None:
    for key, value in services()[name].get("environment", {}).items():
        if SECRET.search(key):
            assert variables(value), f"{key} is written down"


@every_service
def test_a_service_that_stops_is_started_again_unless_it_was_to_end(name: str) -> None:
    assert services()[name]["restart"] == ("no" if name == "kafka-topics" else "unless-stopped")


def test_no_two_services_want_the_same_port() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert len(published) == len(set(published))


@pytest.mark.parametrize(("name", "scheme"), [("grym-folder", "watch"), ("grym-topic", "kafka")])
def test_grym_is_called_as_it_can_be(name: str, scheme: str) -> None:
    options = parsed(command(name))
    assert heard(command(name)) == [scheme]
    assert options["as_json"]
    targets = [target for _, target in mounts(name)]
    assert str(options["recovery"].parent) in targets


@pytest.mark.parametrize("name", OURS)
def test_every_setting_of_grym_is_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(environment(name), monkeypatch)
    assert settings.store.uri == "http://milvus:19530"


def test_a_variable_for_compose_would_not_be_taken_for_a_setting_of_grym() -> None:
    used = variables((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    assert used
    assert not [name for name in used if name.startswith("GRYM_")]


@pytest.mark.parametrize("name", OURS)
def test_what_grym_reaches_is_a_service_of_its_profile(name: str) -> None:
    (profile,) = services()[name]["profiles"]
    addresses = [value for value in environment(name).values() if "://" in value]
    addresses += [word for word in command(name) if word.startswith("kafka://")]
    hosts = {urlsplit(address).hostname for address in addresses}
    assert hosts <= PROFILES[profile]


@pytest.mark.parametrize("name", OURS)
def test_grym_may_write_where_it_must_and_nowhere_else(name: str) -> None:
    service = services()[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - of the container
    assert f"--uid {UID}" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def kafka_listeners(key: str) -> dict[str, str]:
    pairs = (item.split("://") for item in environment("kafka")[key].split(","))
    return dict(pairs)


def test_a_broker_says_of_itself_where_it_listens() -> None:
    listens = kafka_listeners("KAFKA_LISTENERS")
    says = kafka_listeners("KAFKA_ADVERTISED_LISTENERS")
    assert says == {"INSIDE": "kafka:9092", "HOST": "localhost:9094"}
    assert all(listens[name].endswith(f":{place.split(':')[1]}") for name, place in says.items())
    assert "127.0.0.1:9094:9094" in services()["kafka"]["ports"]
    security = dict(
        pair.split(":")
        for pair in environment("kafka")["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    assert set(security) == set(listens)


def test_the_topic_that_is_made_is_the_one_that_is_heard() -> None:
    made: dict[str, Any] = dict(
        word.removeprefix("--").split("=") for word in command("kafka-topics") if "=" in word
    )
    target = f"kafka://{made['bootstrap-server']}/{made['topic']}"
    assert target in command("grym-topic")


def test_every_published_port_is_told_of() -> None:
    told = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    rows = [line for line in told.splitlines() if line.startswith("| ")]
    ports = {int(port) for row in rows for port in re.findall(r"\d{4,5}", row.split("|")[1])}
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert ports == {int(port.split(":")[1]) for port in published}
