import sys
from typing import Any

import pytest
from kafka.record import util

from connectors.kafka.options import DriverError, KafkaOptions, check_crc32c, client_config

SECRETS: dict[str, Any] = {"key_password": "hunter2", "password": "hunter3"}
SECURE = KafkaOptions(
    security_protocol="SASL_SSL", ca_file="/ca", sasl_mechanism="PLAIN", username="me", **SECRETS
)


def test_no_secret_is_shown() -> None:
    assert "hunter" not in repr(SECURE)
    assert "hunter" not in str(SECURE)
    assert SECURE.secrets == ("hunter3", "hunter2")


def test_the_driver_is_given_what_the_protocol_needs_and_no_more() -> None:
    plain = client_config(KafkaOptions())
    assert not any(name.startswith(("ssl", "sasl")) for name in plain)
    secure = client_config(SECURE)
    assert (secure["sasl_plain_password"], secure["ssl_password"]) == ("hunter3", "hunter2")
    assert secure["ssl_cafile"] == "/ca"


@pytest.mark.parametrize(
    "wrong",
    [
        {"security_protocol": "SASL_SSL"},
        {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "username": "me"},
        {"username": "me", "password": "hunter2"},
        {"security_protocol": "SSL", "sasl_mechanism": "PLAIN"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"kafka: .*set") as error:
        KafkaOptions(**wrong)
    assert "hunter" not in str(error.value)


def test_a_driver_without_the_fast_checksum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_crc32c()
    monkeypatch.setattr(util, "crc32c_c", None)
    with pytest.raises(DriverError, match=r"crc32c is missing.*pip install 'kafka-python\[crc32c"):
        check_crc32c()


def test_a_driver_that_is_not_there_is_said_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kafka.record", None)
    with pytest.raises(DriverError, match=r"cannot be imported.*pip install"):
        check_crc32c()
