import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kafka.wire import AudioMessage, BadMessage, Codec, count_clipped, decode, encode

GOOD = {"v": b"1", "codec": b"pcm_s16le", "rate": b"16000", "ch": b"1", "seq": b"7", "ts": b"5"}
VALUE = bytes(range(256)) * 2
REASONS = (
    *("empty", "null", "oversize", "length", "nan", "rate", "channels", "codec", "version"),
    *("header", "key", "undecodable", "too_long"),
)


def headers(**changed: bytes | None) -> list[tuple[str, bytes]]:
    """Good headers, but for those changed; None leaves one out."""
    named = GOOD | changed
    return [(name, value) for name, value in named.items() if value is not None]


def refusal(
    key: bytes | None = b"mic",
    value: bytes | None = VALUE,
    found: list[tuple[str, bytes | None]] | None = None,
    **changed: bytes | None,
) -> BadMessage:
    with pytest.raises(BadMessage) as caught:
        decode(key, value, headers(**changed) if found is None else found, limit_bytes=1_000_000)
    assert caught.value.remedy
    assert "\n" not in caught.value.detail
    return caught.value


def outcome(
    key: bytes | None, value: bytes | None, found: list[tuple[str, bytes | None]]
) -> AudioMessage | str:
    """The message, or the reason why there is none."""
    try:
        return decode(key, value, found)
    except BadMessage as bad:
        return bad.reason


def file_of(samples: np.ndarray, rate: int = 16_000, **form: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **form)
    return file.getvalue()


def flac_of(samples: np.ndarray, rate: int = 16_000) -> bytes:
    return file_of(samples, rate, format="FLAC", subtype="PCM_16")


def test_pcm16_is_divided_by_32768_exactly() -> None:
    every = np.arange(-32_768, 32_768, dtype="<i2")
    message = decode(b"mic", every.tobytes(), headers())
    assert message.samples.dtype == np.float32
    assert message.samples.shape == (65_536, 1)
    assert np.array_equal(message.samples[:, 0], every.astype(np.float64) / 32_768)
    assert not message.samples.flags.writeable


def test_all_that_a_message_says_is_read() -> None:
    more = {"epoch": b"1700", "traceparent": b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"}
    message = decode("büro".encode(), VALUE, [*headers(ch=b"2", ts=b"-9"), *more.items()])
    assert (message.stream, message.rate_hz, message.seq, message.ts_ns) == ("büro", 16_000, 7, -9)
    assert (message.epoch, message.end) == ("1700", False)
    assert message.traceparent.startswith("00-aaaa")
    assert message.samples.shape == (128, 2)


def test_headers_of_others_are_left_alone() -> None:
    found = [*headers(), ("tracestate", b"\xff"), ("tracestate", b"x"), ("nothing", None)]
    assert decode(b"mic", VALUE, found).seq == 7


def test_an_unreadable_traceparent_costs_no_audio() -> None:
    assert decode(b"mic", VALUE, headers(traceparent=b"\xff")).traceparent == ""
    assert decode(b"mic", VALUE, headers(traceparent=b"x" * 65)).traceparent == ""


def test_the_end_of_a_stream_has_no_samples() -> None:
    message = decode(b"mic", b"", headers(end=b"1", ch=b"2"))
    assert message.end
    assert message.samples.shape == (0, 2)


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("empty", {"value": b""}),
        ("null", {"value": None}),
        ("oversize", {"value": bytes(1_000_002)}),
        ("length", {"value": bytes(3)}),
        ("length", {"value": bytes(6), "ch": b"2"}),
        ("nan", {"value": np.float32([0, np.nan]).tobytes(), "codec": b"pcm_f32le"}),
        ("nan", {"value": np.float32([0, np.inf]).tobytes(), "codec": b"pcm_f32le"}),
        ("rate", {"rate": b"3999"}),
        ("rate", {"rate": b"384001"}),
        ("channels", {"ch": b"0"}),
        ("channels", {"ch": b"65"}),
        ("codec", {"codec": b"mp3"}),
        ("version", {"v": b"2"}),
        ("header", {"v": None}),
        ("header", {"codec": None}),
        ("header", {"codec": b"pcm\xff"}),
        ("header", {"rate": None}),
        ("header", {"rate": b"16 000"}),
        ("header", {"rate": b"1_6"}),
        ("header", {"seq": b"-1"}),
        ("header", {"seq": b""}),
        ("header", {"seq": b"9" * 19}),
        ("header", {"ts": b"1.5"}),
        ("header", {"ts": None}),
        ("header", {"epoch": b""}),
        ("header", {"epoch": b"x" * 65}),
        ("header", {"epoch": b"a\nb"}),
        ("header", {"end": b"0", "value": b""}),
        ("header", {"end": b"1"}),
        ("key", {"key": None}),
        ("key", {"key": b""}),
        ("key", {"key": b"\xff"}),
        ("key", {"key": b"  "}),
        ("key", {"key": b"a\nb"}),
        ("key", {"key": "a\u2028b".encode()}),
        ("key", {"key": b"x" * 257}),
        ("undecodable", {"codec": b"flac"}),
        ("undecodable", {"codec": b"opus"}),
        ("too_long", {"value": bytes(80_002), "rate": b"4000"}),
    ],
)
def test_a_bad_message_has_a_stable_reason(reason: str, bad: dict[str, bytes | None]) -> None:
    assert refusal(**bad).reason == reason


def test_a_header_that_is_there_twice_is_refused() -> None:
    assert refusal(found=[*headers(), ("rate", b"16000")]).reason == "header"
    assert refusal(found=[*headers(), ("seq", b"1")]).seq is None


def test_a_header_without_a_value_is_refused() -> None:
    assert refusal(found=[*headers(epoch=None), ("epoch", None)]).reason == "header"


def test_a_bad_message_says_whose_it_is_as_far_as_that_can_be_read() -> None:
    bad = refusal(value=b"odd", key="büro".encode())
    assert (bad.stream, bad.seq) == ("büro", 7)
    nobody = refusal(key=b"\xff", seq=b"x")
    assert (nobody.stream, nobody.seq) == ("", None)


def test_a_flac_is_refused_for_another_rate_or_number_of_channels() -> None:
    value = flac_of(np.zeros((160, 2), np.int16))
    assert refusal(value=value, codec=b"flac", rate=b"8000", ch=b"2").reason == "rate"
    assert refusal(value=value, codec=b"flac", ch=b"1").reason == "channels"
    assert decode(b"mic", value, headers(codec=b"flac", ch=b"2")).samples.shape == (160, 2)


def test_what_is_not_the_announced_container_is_undecodable() -> None:
    wav = file_of(np.zeros(160, np.int16), format="WAV")
    vorbis = file_of(np.zeros(1_600, np.float32), format="OGG", subtype="VORBIS")
    assert refusal(value=wav, codec=b"flac").reason == "undecodable"
    assert refusal(value=vorbis, codec=b"opus").reason == "undecodable"


def test_a_compressed_message_that_was_cut_off_is_undecodable() -> None:
    noise = np.random.default_rng(1).integers(-9_000, 9_000, 16_000).astype(np.int16)
    flac = flac_of(noise)
    opus = file_of(noise, format="OGG", subtype="OPUS")
    for codec, whole in ((b"flac", flac), (b"opus", opus)):
        assert refusal(value=whole[: len(whole) // 2], codec=codec).reason == "undecodable"


def test_a_flac_without_a_sample_is_empty() -> None:
    assert refusal(value=flac_of(np.zeros(0, np.int16)), codec=b"flac").reason == "empty"


def test_a_bomb_is_decoded_no_further_than_ten_seconds() -> None:
    bomb = bytearray(flac_of(np.zeros(16_000 * 60, np.int16)))
    assert len(bomb) < 5_000
    assert refusal(value=bytes(bomb), codec=b"flac").reason == "too_long"
    bomb[21] &= 0xF0  # its length is not told: STREAMINFO holds zero
    bomb[22:26] = bytes(4)
    assert refusal(value=bytes(bomb), codec=b"flac").reason == "too_long"


def test_a_flac_that_does_not_tell_its_length_is_read_to_its_end() -> None:
    whole = bytearray(flac_of(np.arange(1_600, dtype=np.int16)))
    whole[21] &= 0xF0
    whole[22:26] = bytes(4)
    samples = decode(b"mic", bytes(whole), headers(codec=b"flac")).samples
    assert np.array_equal(samples[:, 0] * 32_768, np.arange(1_600))
    assert samples.base is None


def test_opus_comes_back_at_its_length() -> None:
    tone = np.sin(np.arange(4_800) / 20).astype(np.float32).reshape(-1, 1) / 2
    heard = decode(*encode(AudioMessage("mic", 48_000, tone, 0, 0), "opus")).samples
    assert heard.shape == tone.shape
    assert np.corrcoef(heard[:, 0], tone[:, 0])[0, 1] > 0.9


@st.composite
def messages(draw: st.DrawFn) -> AudioMessage:
    channels = draw(st.integers(1, 4))
    whole = draw(st.lists(st.integers(-32_768, 32_767), min_size=0, max_size=64))
    frames = len(whole) // channels
    samples = np.array(whole[: frames * channels], np.float32).reshape(frames, channels) / 32_768
    return AudioMessage(
        draw(st.sampled_from(["mic", "yard/ö", "a b"])),
        draw(st.sampled_from([4_000, 11_025, 16_000, 44_100, 48_000, 96_000, 384_000])),
        samples,
        draw(st.integers(0, (1 << 63) - 1)),
        draw(st.integers(1 - (1 << 63), (1 << 63) - 1)),
        draw(st.sampled_from(["", "1700000000000000000"])),
        draw(st.sampled_from(["", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"])),
        end=not frames,
    )


@given(messages(), st.sampled_from(["pcm_s16le", "pcm_f32le", "flac"]))
def test_what_is_encoded_without_loss_is_decoded_bit_for_bit(
    message: AudioMessage, codec: Codec
) -> None:
    back = decode(*encode(message, codec))
    assert np.array_equal(back.samples, message.samples)
    assert back.samples.shape == message.samples.shape
    said = ("stream", "rate_hz", "seq", "ts_ns", "epoch", "traceparent", "end")
    assert [getattr(back, name) for name in said] == [getattr(message, name) for name in said]


@given(
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=200),
    st.lists(
        st.tuples(
            st.sampled_from([*GOOD, "epoch", "traceparent", "end", "x"]),
            st.none()
            | st.binary(max_size=20)
            | st.sampled_from([b"1", b"pcm_s16le", b"pcm_f32le", b"flac", b"opus", b"16000"]),
        ),
        max_size=12,
    ),
)
def test_any_bytes_are_a_message_or_a_bad_message(
    key: bytes | None, value: bytes | None, found: list[tuple[str, bytes | None]]
) -> None:
    heard = outcome(key, value, found)
    assert heard in REASONS if isinstance(heard, str) else np.isfinite(heard.samples).all()


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_are_a_message_or_a_bad_message(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from(["FLAC", "OGG"]))
    whole = bytearray(
        file_of(
            np.arange(-800, 800, dtype=np.int16),
            format=codec,
            subtype="PCM_16" if codec == "FLAC" else "OPUS",
        )
    )
    for _ in range(data.draw(st.integers(0, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    name = b"flac" if codec == "FLAC" else b"opus"
    heard = outcome(b"mic", bytes(whole), headers(codec=name))
    assert heard in REASONS if isinstance(heard, str) else len(heard.samples) <= 160_000


@given(st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=50))
def test_floats_are_rounded_and_cut_off_at_full_scale(values: list[float]) -> None:
    samples = np.array(values, np.float32).reshape(-1, 1)
    heard = decode(*encode(AudioMessage("mic", 16_000, samples, 0, 0))).samples
    expected = np.clip(np.rint(samples.astype(np.float64) * 32_768), -32_768, 32_767) / 32_768
    assert np.array_equal(heard, expected)
    assert count_clipped(samples) == int((np.abs(samples) > 1).sum())


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ("pcm_s16le", AudioMessage("", 16_000, np.zeros((1, 1), np.float32), 0, 0)),
        ("pcm_s16le", AudioMessage("mic", 3_999, np.zeros((1, 1), np.float32), 0, 0)),
        ("pcm_s16le", AudioMessage("mic", 16_000, np.zeros((0, 1), np.float32), 0, 0)),
        ("pcm_s16le", AudioMessage("mic", 16_000, np.zeros((1, 1), np.float32), 0, 0, end=True)),
        ("pcm_s16le", AudioMessage("mic", 4_000, np.zeros((40_001, 1), np.float32), 0, 0)),
        ("pcm_s16le", AudioMessage("mic", 16_000, np.full((1, 1), np.nan, np.float32), 0, 0)),
        ("flac", AudioMessage("mic", 16_000, np.zeros((1, 9), np.float32), 0, 0)),
        ("opus", AudioMessage("mic", 44_100, np.zeros((9, 1), np.float32), 0, 0)),
    ],
)
def test_what_could_not_be_decoded_is_not_encoded(codec: Codec, message: AudioMessage) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode(message, codec)
