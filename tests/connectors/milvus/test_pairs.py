from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from connectors.milvus.errors import StoreMissing
from connectors.milvus.pairs import read_pairs, resolve
from connectors.milvus.reader import Reader
from connectors.store import Store
from operators.records import Embedding

OTHER = "clap-0f0f0f0f-8"
SECOND = "logmel-0a1b2c3d-16"
OLDER = "logmel-99999999-4"


def beside(embedding: Embedding) -> Embedding:
    """The same window as the other model embedded it: its numbers tell which window it was."""
    vector = np.full(8, embedding.start_ns / 1e9, np.float32)
    return replace(embedding, space=OTHER, vector=vector)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, make) -> Iterator[Reader]:
    """Two minutes of two streams; the other model missed a few windows and heard one alone."""
    path = tmp_path_factory.mktemp("pairs") / "x.db"
    both = [
        make.embedding(n / 2, stream=stream, seed=n)
        for stream in ("mic", 'k"\\é')
        for n in range(240)
    ]
    alone = beside(make.embedding(900.0))
    third = replace(make.embedding(1.0), space=OLDER, vector=np.ones(4, np.float32))
    with Store.open(str(path)) as store:
        store.append([*both, *map(beside, both[10:]), alone, third])
        assert store.drain(20)
        reader = Reader(str(path))
        yield reader
        reader.close()


def test_windows_of_both_spaces_come_as_pairs_in_order(reader: Reader, make) -> None:
    pairs = read_pairs(reader, SECOND, OTHER)
    # Of 60 windows that begin in a block the last reaches into the next one.
    assert len(pairs.x) == len(pairs.y) == pairs.shared == 2 * 4 * 59 - 10
    assert pairs.streams == 2
    assert (pairs.x.shape[1], pairs.y.shape[1]) == (16, 8)
    for x, y in zip(pairs.x[::7], pairs.y[::7], strict=True):
        assert np.array_equal(x, make.vector(round(2 * float(y[0]))))


def test_a_group_is_half_a_minute_of_one_stream(reader: Reader) -> None:
    pairs = read_pairs(reader, SECOND, OTHER)
    assert sorted(set(pairs.groups.tolist())) == list(range(8))
    for group in range(8):
        seconds = pairs.y[pairs.groups == group, 0]
        assert seconds.max() - seconds.min() < 30
        assert len(seconds) in (49, 59)


def test_of_too_many_an_even_choice_is_read(reader: Reader) -> None:
    everything, some = (read_pairs(reader, SECOND, OTHER, most=most) for most in (10_000, 100))
    assert some.shared == everything.shared
    assert 50 < len(some.x) <= 100
    assert set(some.groups.tolist()) == set(range(8))


def test_spaces_without_a_window_in_common_give_no_pairs(reader: Reader) -> None:
    pairs = read_pairs(reader, OLDER, OTHER)
    assert (pairs.x.shape, pairs.y.shape, pairs.streams) == ((0, 4), (0, 8), 0)


def test_a_model_stands_for_its_space_where_it_has_one(reader: Reader) -> None:
    assert resolve(reader, "clap") == OTHER
    assert resolve(reader, SECOND) == SECOND


def test_a_model_with_several_spaces_must_be_told_apart(reader: Reader) -> None:
    with pytest.raises(StoreMissing, match=f"'logmel' has 2 spaces.*{SECOND}, {OLDER}"):
        resolve(reader, "logmel")


def test_a_space_into_which_nothing_was_heard_is_named_with_those_there_are(
    reader: Reader,
) -> None:
    with pytest.raises(StoreMissing, match=f"'wav2vec2'.*there: {OTHER}, {SECOND}"):
        read_pairs(reader, "wav2vec2", "clap")
