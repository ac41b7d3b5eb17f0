"""From settings and flags to how sources are read, and where events go."""

import pytest

from connectors.chunks import Share
from connectors.kafka.options import KafkaOptions
from flows.announcing import event_topic
from flows.errors import UsageError
from flows.inputs import check_stdin, options_of
from flows.settings import Settings, load


def made(**sections: object) -> Settings:
    return load(None, sections)


def test_every_kind_of_source_gets_its_section() -> None:
    settings = made(
        kafka={"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": "u",
               "password": "hush", "channels": "split"},
        mic={"rate_hz": 16_000},
        stdin={"rate_hz": 8_000, "channels": 2},
        watch={"settle_s": 5},
        listen={"frame_ms": 20},
    )  # fmt: skip
    options = options_of(settings, start_ns=7, share=Share(1, 3))
    assert (options.frame_ms, options.start_ns, options.share) == (20, 7, Share(1, 3))
    kafka = options.own["kafka"]
    assert (kafka.password, kafka.channels) == ("hush", "split")
    assert options.own["mic"].rate_hz == 16_000
    assert (options.own["-"].rate_hz, options.own["-"].channels) == (8_000, 2)
    assert options.own["watch"].settle_s == 5
    assert "hush" not in repr(options)
    assert "hush" not in str(settings.masked())


def test_without_settings_the_devices_own_rate_is_taken() -> None:
    assert options_of(made()).own["mic"].rate_hz == 0


def test_settings_that_contradict_one_another_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="sasl_mechanism") as caught:
        options_of(made(kafka={"security_protocol": "SASL_SSL", "password": "hush"}))
    assert "hush" not in str(caught.value)


def test_raw_audio_of_which_nobody_said_what_it_is_is_refused() -> None:
    check_stdin(made(stdin={"rate_hz": 8_000, "channels": 1}), ["-", "file"])
    check_stdin(made(), ["file"])
    with pytest.raises(UsageError, match="--rate 16000 --channels 1"):
        check_stdin(made(stdin={"rate_hz": 8_000}), ["-"])


@pytest.mark.parametrize("topic", ["audio", "audio.dead"])
def test_events_do_not_go_where_they_would_be_heard(topic: str) -> None:
    heard = ["kafka://other:9092/audio", "kafka://one:9092,two:9092/audio?from=earliest"]
    with pytest.raises(UsageError, match="name another one"):
        event_topic(f"kafka://two:9092/{topic}", KafkaOptions(), heard, windows=False, state=print)


def test_an_address_of_events_that_means_nothing_is_refused() -> None:
    assert event_topic(None, KafkaOptions(), [], windows=False, state=print) is None
    with pytest.raises(UsageError, match="--events-to"):
        event_topic("kafka://one:9092", KafkaOptions(), [], windows=False, state=print)
