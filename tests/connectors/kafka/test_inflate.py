import gzip
import tracemalloc

import pytest

from connectors.kafka.headers import BadMessage
from connectors.kafka.inflate import inflate

GZIP = 1


def test_what_is_not_compressed_stays_as_it_is() -> None:
    assert inflate(0, b"abc", 1) == b"abc"


def test_gzip_of_several_members_is_read_to_its_end() -> None:
    data = gzip.compress(b"a" * 1000) + gzip.compress(b"b" * 1000)
    assert inflate(GZIP, data, 2000) == b"a" * 1000 + b"b" * 1000


@pytest.mark.parametrize("limit", [1999, 1000, 10])
def test_nothing_grows_beyond_the_limit(limit: int) -> None:
    data = gzip.compress(b"a" * 1000) + gzip.compress(b"b" * 1000)
    with pytest.raises(BadMessage) as bad:
        inflate(GZIP, data, limit)
    assert bad.value.reason == "bomb"
    assert str(limit) in bad.value.detail


def test_a_bomb_costs_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200 << 20), compresslevel=1)
    tracemalloc.start()
    with pytest.raises(BadMessage):
        inflate(GZIP, bomb, 1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    "data",
    [b"nonsense", gzip.compress(b"a" * 999, mtime=0)[:-9], b"\x1f\x8b"],
    ids=["nonsense", "cut off", "a beginning"],
)
def test_what_is_no_gzip_is_said_to_be_corrupt(data: bytes) -> None:
    with pytest.raises(BadMessage) as bad:
        inflate(GZIP, data, 10_000)
    assert bad.value.reason == "corrupt"


def test_a_codec_whose_package_is_missing_is_named_with_the_remedy() -> None:
    with pytest.raises(BadMessage) as bad:
        inflate(3, b"x", 10)
    assert bad.value.reason == "codec"
    assert "lz4" in bad.value.detail
    assert "pip install lz4" in bad.value.remedy


def test_a_codec_that_kafka_does_not_have_is_refused() -> None:
    with pytest.raises(BadMessage) as bad:
        inflate(7, b"x", 10)
    assert bad.value.reason == "codec"
