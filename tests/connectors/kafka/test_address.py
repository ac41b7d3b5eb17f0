import subprocess
import sys

import pytest

from connectors.kafka.address import Address, derived_name, parse


def test_an_address_names_brokers_and_a_topic() -> None:
    assert parse("kafka://a:1,b:2/birds") == Address(("a:1", "b:2"), "birds", "latest", "")
    assert parse("kafka://a/birds").servers == ("a:9092",)
    assert parse("kafka://[::1]:7/birds").servers == ("[::1]:7",)
    assert parse("kafka://a:1,a:1/birds").servers == ("a:1",)
    assert derived_name("kafka://a:1/birds?from=earliest") == "birds"


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ("from=earliest", "earliest"),
        ("from=latest", "latest"),
        ("from=1970-01-01T00:00:01", 1_000),
        ("from=1970-01-01T01:00:00.5+01:00", 500),
        ("from=1970-01-01T01%3A00%3A00%2B01%3A00", 0),
        ("from=1969-01-01", 0),
    ],
)
def test_where_to_begin_is_a_word_or_a_time(query: str, start: str | int) -> None:
    assert parse(f"kafka://a:1/birds?{query}").start == start


def test_one_stream_can_be_asked_for() -> None:
    assert parse("kafka://a:1/t?from=earliest&stream=porch%20%26%2Fleft").stream == "porch &/left"
    assert parse("kafka://a:1/t?stream=me@home").stream == "me@home"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("kafka://a:1", "no topic"),
        ("kafka://a:1/", "no topic"),
        ("kafka://a:1/?from=latest", "no topic"),
        ("kafka:a/t", "no topic"),
        ("kafka:///t", "not the address of a broker"),
        ("kafka://a:99999/t", "'a:99999'"),
        ("kafka://a:1,,b:1/t", "not the address of a broker"),
        ("kafka://a:1/t/u", "'t/u' cannot be the name of a topic"),
        ("kafka://a:1/..", "cannot be the name"),
        ("kafka://a:1/" + "x" * 250, "cannot be the name"),
        ("kafka://a:1/t?form=latest", "'form' means nothing"),
        ("kafka://a:1/t?stream=", "'stream' means nothing"),
        ("kafka://a:1/t?from=yesterday", "from=yesterday"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(target: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^kafka source") as error:
        parse(target)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "target",
    [
        "kafka://me:hunter2@a:1/t",
        "kafka://me:hun?ter2@a:1/t",
        "kafka://me:hun/hunter2@a:1/t",
        "kafka://a:1/t?password=hunter2",
    ],
)
def test_credentials_are_refused_and_not_repeated(target: str) -> None:
    with pytest.raises(ValueError, match="kafka source") as error:
        parse(target)
    assert "ter2" not in str(error.value)


def test_understanding_an_address_needs_no_driver() -> None:
    code = "import sys; from connectors.kafka import address, topic; print('kafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
