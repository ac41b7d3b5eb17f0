"""What a person is told of corrections: a line a look back."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.hindsight import Hindsight, LookBack
from connectors.wording import look_back
from operators.records import Novel, Occurrence, Pattern, StreamEnd, Verdict
from operators.revision import Revision

NEW = Novel("s", 950.0, 951.0)
PATTERN = Pattern("s", "p", "", 3, 0.0, 1.0, 0, 1, 0.5, "confirmed")
WINDOW = Verdict("s", 0, 0, "m", "gated")


def heard(pattern: str, at_s: float, *, late: bool = True, stream: str = "s") -> Occurrence:
    emitted_s = 900.0 if late else at_s + 1.0
    return Occurrence(stream, pattern, at_s, at_s + 0.5, round(at_s * 1e9), 0.9, emitted_s, late)


def revised(
    at_s: float, was: str, now: str, emitted_s: float = 900.0, stream: str = "s"
) -> Revision:
    return Revision(stream, at_s, round(at_s * 1e9), was, now, "hindsight", emitted_s)


def shown(*items: object) -> list[object]:
    hindsight = Hindsight()
    return [*(each for item in items for each in hindsight.take(item)), *hindsight.flush()]


def test_a_look_back_is_told_when_something_else_of_its_stream_follows() -> None:
    hindsight = Hindsight()
    for item in (
        *(heard("p", 5.0), revised(5.0, "", "p"), heard("q", 6.0), revised(6.0, "p", "q")),
        *(revised(7.0, "p", ""), revised(8.0, "p", "")),
    ):
        assert hindsight.take(item) == []
    assert hindsight.take(WINDOW) == [WINDOW]
    assert hindsight.take(heard("p", 1.0, late=False, stream="other")) != []
    assert hindsight.take(PATTERN) == [LookBack("s", 900.0, 1, 1, 2), PATTERN]
    assert hindsight.flush() == []


def test_what_was_only_told_late_is_shown_as_ever() -> None:
    one, two = heard("p", 5.0), heard("p", 6.0)
    assert shown(one, two, PATTERN, NEW) == [one, two, PATTERN, NEW]
    assert shown(one, revised(7.0, "q", "")) == [one, LookBack("s", 900.0, 0, 0, 1)]
    assert shown(one, StreamEnd("s", 1, 0)) == [one, StreamEnd("s", 1, 0)]


def test_what_is_told_again_after_it_was_taken_back_is_a_part_of_the_look_back() -> None:
    back = LookBack("s", 900.0, 0, 1, 0)
    assert shown(revised(5.0, "p", "p"), heard("p", 5.0), PATTERN) == [back, PATTERN]
    other = heard("p", 7.0)
    assert shown(revised(5.0, "p", "p"), other, heard("p", 5.0)) == [other, heard("p", 5.0), back]


def test_two_look_backs_are_two_lines() -> None:
    told = shown(revised(7.0, "q", ""), revised(8.0, "q", "", 1_800.0))
    assert told == [LookBack("s", 900.0, 0, 0, 1), LookBack("s", 1_800.0, 0, 0, 1)]


def test_it_reads_as_a_short_sentence() -> None:
    assert look_back(LookBack("s", 900.0, 3, 2, 1)) == "hindsight: 3 added, 2 moved, 1 withdrawn"
    assert look_back(LookBack("s", 900.0, 0, 2, 0)) == "hindsight: 2 moved"


def test_streams_that_never_go_on_hold_little() -> None:
    hindsight = Hindsight()
    told = [
        each
        for number in range(3_000)
        for each in hindsight.take(heard("p", 1.0, stream=f"s{number}"))
    ]
    assert len(told) + len(hindsight.flush()) == 3_000
    assert len(told) > 1_900


@given(
    st.lists(
        st.one_of(
            st.builds(heard, st.sampled_from("pq"), st.integers(0, 9), late=st.booleans()),
            st.builds(revised, st.integers(0, 9), st.sampled_from(["", "p"]), st.just("q")),
            st.just(PATTERN),
            st.just(WINDOW),
        )
    )
)
def test_every_other_record_comes_out_once_and_every_revision_is_counted(items: list) -> None:
    told = shown(*items)
    revisions = [item for item in items if isinstance(item, Revision)]
    counted = [item for item in told if isinstance(item, LookBack)]
    assert sum(each.added + each.moved + each.withdrawn for each in counted) == len(revisions)
    told_apart = [item for item in told if not isinstance(item, LookBack)]
    swallowed = len(items) - len(revisions) - len(told_apart)
    assert 0 <= swallowed <= len(revisions)
    for kind in (Pattern, Verdict):
        assert sum(isinstance(i, kind) for i in told) == sum(isinstance(i, kind) for i in items)
