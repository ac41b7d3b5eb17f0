from dataclasses import replace

import pytest

from connectors.milvus.aliases import Aliases
from connectors.milvus.filters import any_of, both, quoted
from connectors.milvus.rows import flaw_of, record_of, write_of
from connectors.milvus.schema import LAYOUTS, collection_name, layout_of
from operators.records import Pattern


def test_a_row_holds_every_column_of_its_layout(make) -> None:
    records = [
        make.embedding(1.0),
        make.centroid("p"),
        make.pattern("p"),
        make.occurrence("p", 1.0),
        make.relation("p", "q"),
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


def test_withdrawing_a_relation_deletes_its_row(make) -> None:
    write = write_of(make.relation("a", "b", withdrawn=True))
    assert write.row is None
    assert write.key == "a|sequential|b"
    assert write.dimension == 0
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
    assert layout_of("patterns") is LAYOUTS["patterns"]
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
