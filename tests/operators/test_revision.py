"""What stands after hindsight."""

import pickle

import pytest

from operators.records import Novel, Occurrence
from operators.revision import Revision, settled


def heard(pattern: str, second: int, score: float = 0.9) -> Occurrence:
    start_ns = second * 10**9
    return Occurrence("s", pattern, second, second + 0.5, start_ns, score, second + 1.0, False)


def revised(second: int, pattern_from: str, pattern: str) -> Revision:
    start_ns = second * 10**9
    return Revision("s", second, start_ns, pattern_from, pattern, "hindsight", 900.0, "00-a")


@pytest.mark.parametrize(
    ("pattern_from", "pattern", "kind", "gone"),
    [
        ("", "b", "added", ""),
        ("a", "b", "moved", "s|5000000000|a"),
        ("a", "a", "moved", "s|5000000000|a"),
        ("a", "", "withdrawn", "s|5000000000|a"),
    ],
)
def test_a_revision_names_what_is_gone(
    pattern_from: str, pattern: str, kind: str, gone: str
) -> None:
    revision = revised(5, pattern_from, pattern)
    assert (revision.kind, revision.gone) == (kind, gone)
    assert revision.gone in ("", heard("a", 5).key)
    assert pickle.loads(pickle.dumps(revision)) == revision  # noqa: S301 - own bytes


def test_what_stands_in_the_end_follows_from_applying_revisions_in_order() -> None:
    told = [
        *(heard("a", 1), Novel("s", 2.0, 3.0), heard("a", 5), heard("a", 9), heard("c", 11)),
        *(heard("b", 5), revised(5, "a", "b")),
        *(heard("a", 10), revised(9, "a", "a")),
        *(heard("a", 20), revised(20, "", "a")),
        revised(11, "c", ""),
    ]
    assert settled(told) == [heard("a", 1), heard("b", 5), heard("a", 10), heard("a", 20)]
    assert settled([]) == []


def test_what_is_told_again_stands_and_the_last_of_equal_keys_holds() -> None:
    again = heard("a", 1, score=0.5)
    assert settled([heard("a", 1), revised(1, "a", ""), again]) == [again]
    assert settled([heard("a", 1), again, revised(7, "a", "")]) == [again]
