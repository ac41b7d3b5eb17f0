import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from connectors.clips import FOLDER
from connectors.events import as_event
from connectors.milvus import search
from connectors.milvus.aliases import Aliases
from connectors.milvus.connection import Connection
from connectors.milvus.errors import StoreMissing
from connectors.milvus.process import StoreProcess
from connectors.milvus.queries import Queries
from connectors.milvus.remarks import Descriptions
from connectors.milvus.rows import write_of
from connectors.milvus.schema import prepare
from connectors.store import Store
from operators.remarks import Description, Tag


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory, make) -> Iterator[Store]:
    """A store with two streams, a merge and windows that overlap; still being written."""
    hour_ns = 3_600_000_000_000
    with Store.open(str(tmp_path_factory.mktemp("queries") / "x.db")) as store:
        store.append(
            [
                make.pattern("late", first_s=50.0, last_s=90.0),
                make.pattern("early", first_s=1.0, last_s=9.0),
                make.pattern("gone", first_s=1.0, last_s=9.0, status="merged", into="between"),
                make.pattern("between", first_s=1.0, last_s=9.0, status="merged", into="early"),
                make.pattern("other", stream='k"\\é', origin_ns=hour_ns),
                make.occurrence("early", 3.0),
                make.occurrence("gone", 1.0),
                make.occurrence("gone", 3.0, score=0.7),
                make.occurrence("late", 50.0),
                make.occurrence("other", 3601.0, stream='k"\\é'),
                make.relation("late", "gone"),
                make.relation("late", "early", support=9),
                make.relation("gone", "between"),
                make.relation("early", "late", last_s=90.0),
                *(make.embedding(n / 2) for n in range(20)),
                make.embedding(49.8, seed=7),
                make.embedding(50.3, seed=7),
                make.embedding(120.0),
                make.embedding(3600.0, stream='k"\\é', seed=7),
            ]
        )
        assert store.drain(20)
        yield store


@pytest.fixture(scope="module")
def queries(heard: Store) -> Iterator[Queries]:
    with Queries(str(heard.folder).removesuffix(".state")) as queries:
        yield queries


def test_patterns_come_by_time_as_listen_prints_them_without_merged_ones(queries, make) -> None:
    rows = queries.patterns()
    assert [row["pattern"] for row in rows] == ["early", "late", "other"]
    assert rows[0] == (as_event(make.pattern("early")) or {}) | {"description": None, "clip": None}
    every = [row["pattern"] for row in queries.patterns(merged=True)]
    assert every == ["between", "early", "gone", "late", "other"]
    assert [row["pattern"] for row in queries.patterns(limit=2)] == ["early", "late"]
    assert queries.patterns(limit=0) == []


def test_occurrences_of_an_alias_show_the_survivor_once(queries, make) -> None:
    rows = queries.occurrences(stream="mic")
    assert [(row["start_s"], row["pattern"], row["score"]) for row in rows] == [
        (1.0, "early", 0.9),
        (3.0, "early", 0.9),
        (50.0, "late", 0.9),
    ]
    assert rows[-1] == as_event(make.occurrence("late", 50.0))


def test_relations_of_an_alias_show_the_survivor_with_the_best_evidence(queries, make) -> None:
    rows = queries.relations()
    assert [(row["source"], row["target"], row["support"]) for row in rows] == [
        ("early", "late", 5),
        ("late", "early", 9),
    ]
    assert rows[1] == as_event(make.relation("late", "early", support=9))


def test_a_stream_with_any_letters_can_be_asked_for(queries) -> None:
    assert [row["pattern"] for row in queries.occurrences(stream='k"\\é')] == ["other"]
    assert [row["pattern"] for row in queries.patterns(stream='k"\\é')] == ["other"]
    assert queries.relations(stream='k"\\é') == []
    assert queries.patterns(stream="nobody") == []
    assert queries.occurrences(stream="nobody", since_s=5.0) == []


def test_since_counts_back_from_the_newest_data_of_the_streams_asked_for(queries) -> None:
    assert [row["pattern"] for row in queries.patterns(since_s=60)] == ["other"]
    assert [row["pattern"] for row in queries.patterns(stream="mic", since_s=40)] == ["late"]
    assert [row["pattern"] for row in queries.patterns(stream="mic", since_s=111)] == [
        "early",
        "late",
    ]
    assert [row["start_s"] for row in queries.occurrences(stream="mic", since_s=70)] == [50.0]
    assert [row["source"] for row in queries.relations(stream="mic", since_s=31)] == ["early"]
    assert queries.relations(since_s=31) == []


def test_search_gives_each_moment_once_with_the_pattern_heard_then(queries, make) -> None:
    rows = queries.search(make.vector(7) * 3, make.space, limit=3)
    assert [(row["stream"], row["start_s"], row["pattern"]) for row in rows[:2]] == [
        ('k"\\é', 3600.0, None),
        ("mic", 49.8, "late"),
    ]
    assert rows[0]["score"] == pytest.approx(1.0)
    assert rows[0] == {
        "stream": 'k"\\é',
        "start_s": 3600.0,
        "end_s": 3601.0,
        "start_ns": 3_600_000_000_000,
        "score": 1.0,
        "space": make.space,
        "pattern": None,
        "match": None,
        "speech": None,
    }
    every = queries.search(make.vector(7), make.space, limit=100)
    starts = [row["start_s"] for row in every if row["stream"] == "mic"]
    assert all(abs(a - b) >= 1.0 for a in starts for b in starts if a is not b)
    assert [row["score"] for row in every] == sorted((r["score"] for r in every), reverse=True)
    assert {row["pattern"] for row in every if row["start_s"] in {0.5, 1.0}} == {"early"}


def test_several_vectors_are_one_question_and_each_moment_comes_once(queries, make) -> None:
    # 0.5 s and 1.0 s overlap: whichever vector found them, they are one moment.
    seeds = (500, 1_000, 7)
    vectors = np.stack([make.vector(seed) for seed in seeds])
    rows = queries.search(vectors, make.space, limit=4)
    assert [row["score"] for row in rows[:3]] == [1.0, 1.0, 1.0]
    assert [(row["stream"], row["start_s"]) for row in rows[:3]] == [
        ('k"\\é', 3600.0),
        ("mic", 0.5),
        ("mic", 49.8),
    ]
    every = queries.search(vectors, make.space, limit=100)
    assert every[:4] == rows
    starts = [row["start_s"] for row in every if row["stream"] == "mic"]
    assert all(abs(a - b) >= 1.0 for a in starts for b in starts if a is not b)
    for row in every:
        seed = 7 if row["start_s"] in {49.8, 50.3, 3600.0} else round(row["start_s"] * 1_000)
        assert row["score"] == pytest.approx(max(vectors @ make.vector(seed)), abs=1e-4)
    assert queries.search(vectors[:1], make.space) == queries.search(vectors[0], make.space)


def test_search_asks_on_until_no_better_moment_can_be_missing(
    queries, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = np.stack([make.vector(seed) for seed in (7, 2_000, 3_000)])
    expected = [queries.search(vectors[:n], make.space, limit=6) for n in (1, 2, 3)]
    monkeypatch.setattr(search, "_FIRST_ASKED", 1)
    for n in (1, 2, 3):
        assert queries.search(vectors[:n], make.space, limit=6) == expected[n - 1]
    monkeypatch.setattr(search, "_MOST_ASKED", 6)
    assert queries.search(vectors[0], make.space, limit=6) == expected[0][:5]


def test_search_can_be_narrowed_to_a_stream_and_a_time(queries, make) -> None:
    (row,) = queries.search(make.vector(7), make.space, stream="mic", limit=1)
    assert row["start_s"] == 49.8
    (row,) = queries.search(make.vector(7), make.space, stream="mic", since_s=10)
    assert row["start_s"] == 120.0
    assert queries.search(make.vector(7), make.space, stream="nobody") == []


def test_moments_of_a_pattern_that_is_recognised_rise_and_the_others_keep_their_score(
    queries, make
) -> None:
    plain = queries.search(make.vector(7), make.space, limit=100)
    asked: list[dict[str, bytes]] = []

    def early_it_is(templates: Mapping[str, bytes]) -> dict[str, float]:
        asked.append(dict(templates))
        return {"early": 1.0, "late": 0.0}

    rows = queries.search(make.vector(7), make.space, limit=100, recognise=early_it_is)
    assert asked == [{name: make.pattern(name).template for name in ("early", "late")}]
    before = {(row["stream"], row["start_ns"]): row["score"] for row in plain}
    for row in rows:
        was = before[row["stream"], row["start_ns"]]
        if row["match"] == 1.0:
            assert row["pattern"] == "early"
            assert row["score"] > was
        else:
            assert row["score"] == was
    assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
    assert {row["match"] for row in rows if row["pattern"] == "late"} == {0.0}
    assert {row["match"] for row in rows if row["pattern"] is None} == {None}
    # Among more moments than are wanted, those recognised are found.
    (first,) = queries.search(
        make.vector(7), make.space, stream="mic", limit=1, recognise=early_it_is
    )
    assert first["start_s"] == 49.8  # alike by vector; one match does not outweigh equality


def test_a_store_without_templates_is_searched_by_vectors_alone(queries, make) -> None:
    plain = queries.search(make.vector(7), make.space, limit=5)
    assert queries.search(make.vector(7), make.space, limit=5, recognise=lambda _: {}) == plain


def test_search_in_another_space_or_with_another_shape_is_told(queries, make) -> None:
    with pytest.raises(StoreMissing, match=f"there: {make.space}"):
        queries.search(make.vector(7), "clap-00000000-512")
    with pytest.raises(ValueError, match="has 16 finite numbers"):
        queries.search(make.vector(7)[:5], make.space)
    with pytest.raises(ValueError, match="has 16 finite numbers"):
        queries.search(np.empty((0, 16)), make.space)
    with pytest.raises(ValueError, match="finite"):
        queries.search(np.full(16, np.nan), make.space)


def test_a_read_goes_on_when_the_store_process_is_killed_meanwhile(heard, queries, ended) -> None:
    before = queries.patterns()
    pid = StoreProcess(Path(str(heard.folder).removesuffix(".state"))).pid
    assert pid > 0
    os.kill(pid, signal.SIGKILL)
    assert queries.patterns() == before
    assert ended(pid)


def test_a_store_into_which_nothing_was_heard_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(
        StoreMissing, match=r"nothing has been heard into .*none.db yet.*grym listen"
    ):
        Queries(str(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_holds_nothing_of_ours_is_told(tmp_path: Path) -> None:
    process = StoreProcess(tmp_path / "x.db")
    address = process.ensure()
    with pytest.raises(StoreMissing, match=address):
        Queries(address)
    with Queries(str(tmp_path / "x.db")) as queries:  # was listened into, nothing recurred yet
        assert queries.patterns(since_s=5) == []
    process.close()


def test_more_rows_than_milvus_gives_at_once_come_back_whole(tmp_path: Path, make) -> None:
    uri, count = str(tmp_path / "x.db"), 16_500
    connection = Connection(uri)
    client = connection.client()
    writes = [write_of(make.occurrence("p", float(n))) for n in range(count)]
    layout = writes[0].layout
    prepare(client, layout, space="", dimension=2, lite=True, store=uri, timeout_s=10)
    for start in range(0, count, 4_000):
        rows = [write.row for write in writes[start : start + 4_000]]
        client.insert("occurrences", rows, timeout=30)
    with Queries(uri) as queries:
        rows = queries.occurrences()
        assert [row["start_s"] for row in rows] == [float(n) for n in range(count)]
    connection.close()


def said(pattern: str, text: str, start_s: float, clip: str = "") -> Description:
    return Description(
        "mic", pattern, text, "teller" if text else "", start_s, start_s + 1, round(start_s), clip
    )


@pytest.fixture(scope="module")
def remarked(tmp_path_factory: pytest.TempPathFactory, make) -> Iterator[Queries]:
    """A store with remarks, some of them on patterns that were merged, and clips of some."""
    uri = str(tmp_path_factory.mktemp("remarks") / "x.db")
    merged = ("gone", "early"), ("older", "early"), ("lost", "late")
    with Store.open(uri) as store:
        store.append(
            [
                make.pattern("early", first_s=1.0),
                make.pattern("late", first_s=2.0),
                make.pattern("silent", first_s=3.0),
                *(make.pattern(name, status="merged", into=into) for name, into in merged),
                said("older", "a cat", 3.0, "older.flac"),
                said("gone", "a dog", 5.0, "gone.flac"),
                said("lost", "a bird", 5.0),
                said("late", "a bell", 2.0, "late.flac"),
                said("late", "a bell rings", 4.0, "late.flac"),
                said("late", "", 6.0, "late.flac"),
                said("silent", "", 6.0, "silent.flac"),
                make.embedding(0.0, seed=1),
                make.embedding(5.0, seed=1),
                Tag("mic", 0, 0, 1.0, "speech", 0.123456),
                Tag("mic", 0, 0, 1.0, "music", 0.9),
            ]
        )
        assert store.drain(20)
        clips = store.folder / FOLDER
        clips.mkdir()
        for name in ("late", "gone"):
            (clips / f"{name}.flac").write_bytes(b"sound")
        with Queries(uri) as queries:
            yield queries


def test_patterns_show_what_was_said_of_them_or_of_those_they_took_in(remarked: Queries) -> None:
    rows = {row["pattern"]: row for row in remarked.patterns(merged=True)}
    assert {name: row["description"] for name, row in rows.items()} == {
        "early": "a dog",
        "late": "a bell rings",
        "silent": None,
        "gone": "a dog",
        "older": "a cat",
        "lost": "a bird",
    }
    assert [row["pattern"] for row in remarked.patterns()] == ["early", "late", "silent"]
    assert [row["description"] for row in remarked.patterns(stream="mic", limit=1)] == ["a dog"]


def test_a_clip_is_a_path_that_can_be_opened_or_nothing(remarked: Queries) -> None:
    clips = {row["pattern"]: row["clip"] for row in remarked.patterns()}
    assert clips["silent"] is None  # the file has made room for newer ones
    assert Path(clips["late"]).read_bytes() == b"sound"
    assert clips["early"].endswith("/gone.flac")


def test_a_found_window_says_how_surely_it_holds_speech_where_it_was_tagged(
    remarked: Queries, make
) -> None:
    rows = remarked.search(make.vector(1), make.space)
    assert [(row["start_s"], row["speech"]) for row in rows] == [(0.0, 0.1235), (5.0, None)]


def test_of_a_servers_store_only_the_name_of_a_clip_is_known() -> None:
    rows = [{"pattern": "p", "text": "", "clip": "p.flac", "start_ns": 1}]
    assert Descriptions(rows, Aliases({}), None).of("p") == {
        "description": None,
        "clip": "p.flac",
    }
