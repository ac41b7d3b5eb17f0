from dataclasses import replace

import pytest

from connectors.milvus.aliases import Aliases
from connectors.milvus.filters import any_of, both, quoted
from connectors.milvus.rows import flaw_of, record_of, write_of
from connectors.milvus.schema import LAYOUTS, collection_name, layout_of
from operators.records import Pattern
from operators.remarks import Description, Tag
from operators.revision import Revision


def test_a_row_holds_every_column_of_its_layout(make) -> None:
    records = [
        make.embedding(1.0),
        make.centroid("p"),
        make.pattern("p"),
        make.occurrence("p", 1.0),
        make.relation("p", "q"),
        Description("mic", "p", "a dog barks", "teller", 1.0, 2.0, 10**9, "p.flac"),
        Tag("mic", 44_100, 10**9, 1.0, "speech", 0.9),
    ]
    writes = [write_of(record) for record in records]
    assert {write.layout.kind for write in writes} == set(LAYOUTS)
    for write in writes:
        assert write.row is not None
        assert set(write.row) == {*write.layout.names, "vector"}
        assert write.row["key"] == write.key
        assert flaw_of(write) == ""


def test_a_row_gives_its_record_back(make) -> None:
    for record in (make.occurrence("p", 1.5), make.relation("p", "q")):
        row = write_of(record).row
        assert row is not None
        assert record_of(type(record), row) == record
    row = write_of(make.pattern("p", template=b"")).row
    assert row is not None
    assert record_of(Pattern, row) == make.pattern("p", template=b"")


def test_a_clip_nothing_was_said_of_does_not_erase_what_was_said_once() -> None:
    told = Description("mic", "p", "a dog barks", "teller", 1.0, 2.0, 10**9, "p.flac")
    kept = replace(told, text="", model="")
    assert write_of(told).key == told.key == "p"
    assert write_of(kept).key == "p|clip"
    assert write_of(kept).collection == write_of(told).collection == "descriptions"


def test_a_remark_that_cannot_be_stored_says_why() -> None:
    endless = Description("mic", "p", "é" * 40_000, "teller", 1.0, 2.0, 10**9)
    assert flaw_of(write_of(endless)) == "the text has more than 65535 bytes"
    unsure = Tag("mic", 0, 0, 1.0, "speech", float("nan"))
    assert flaw_of(write_of(unsure)) == "score is nan"


def test_withdrawing_a_relation_deletes_its_row(make) -> None:
    write = write_of(make.relation("a", "b", withdrawn=True))
    assert write.row is None
    assert write.key == "a|sequential|b"
    assert write.dimension == 0
    assert flaw_of(write) == ""


@pytest.mark.parametrize("now", ["", "q", "p"])
def test_a_revision_deletes_the_row_of_the_occurrence_that_is_gone(make, now: str) -> None:
    gone = make.occurrence("p", 1.5)
    write = write_of(Revision("mic", 1.5, gone.start_ns, "p", now, "hindsight", 900.0))
    assert write.row is None
    assert (write.collection, write.key) == ("occurrences", gone.key)
    assert (write.stream, write.start_s) == ("mic", 1.5)
    assert flaw_of(write) == ""


def test_withdrawing_a_centroid_deletes_its_row_in_its_space(make) -> None:
    told = make.centroid("p")
    write = write_of(replace(told, withdrawn=True))
    assert write.row is None
    assert (write.collection, write.key) == (write_of(told).collection, "p")
    assert flaw_of(write) == ""


def test_collections_are_named_after_kind_and_space() -> None:
    assert collection_name("windows", "aisfx-0a1b2c3d-512") == "windows_aisfx_0a1b2c3d_512"
    assert collection_name("patterns") == "patterns"
    assert layout_of("windows_aisfx_0a1b2c3d_512") is LAYOUTS["windows"]
    for kind in ("patterns", "descriptions", "tags"):
        assert layout_of(kind) is LAYOUTS[kind]
    assert [layout_of(name) for name in ("windows", "patterns_2", "cats", "")] == [None] * 4


def test_any_text_can_stand_in_a_filter() -> None:
    assert quoted('a"b\\c\n\r\t') == '"a\\"b\\\\c\\n\\r\\t"'
    assert any_of("stream", ["a", 'b"']) == 'stream in ["a", "b\\""]'
    assert both("", "a == 1", "", "b == 2") == "(a == 1) and (b == 2)"
    assert both("", "") == ""


@pytest.mark.parametrize(
    ("pattern", "survivor"),
    [("a", "c"), ("b", "c"), ("c", "c"), ("never merged", "never merged"), ("round", "about")],
)
def test_a_chain_of_merges_ends_at_one_survivor(pattern: str, survivor: str) -> None:
    aliases = Aliases({"a": "b", "b": "c", "d": "", "round": "about", "about": "round"})
    assert aliases.survivor(pattern) == survivor
