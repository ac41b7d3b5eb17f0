"""Of links whose lags add up the derived one is marked."""

from operators.relations.indirect import indirect_links
from operators.relations.kinds import LinkKind
from operators.relations.links import Link


def _link(
    source: str,
    target: str,
    lag_s: float,
    support: int,
    kind: LinkKind = "sequential",
    sd_s: float = 0.1,
) -> Link:
    return Link(kind, source, target, support, lag_s, sd_s, 0.8, 10.0, 0.001, 0.0, 100.0)


def test_the_sum_of_a_chain_is_indirect() -> None:
    links = [_link("a", "b", 1.0, 9), _link("b", "x", 1.5, 8), _link("a", "x", 2.5, 7)]
    assert indirect_links(links) == {("a", "x")}


def test_the_sum_is_indirect_also_if_missed_middles_give_it_equal_support() -> None:
    links = [
        _link("a", "b", 1.0, 7),
        _link("b", "x", 1.5, 7),
        _link("a", "x", 2.5, 7, sd_s=0.14),
    ]
    assert indirect_links(links) == {("a", "x")}


def test_a_few_lags_that_happen_to_agree_do_not_outweigh_a_link_heard_more_often() -> None:
    links = [
        _link("a", "b", 1.3, 8),
        _link("b", "x", 1.5, 8, sd_s=0.13),
        _link("a", "x", 2.8, 5, sd_s=0.045),
    ]
    assert indirect_links(links) == {("a", "x")}


def test_the_sum_is_indirect_also_if_missed_middles_make_it_the_one_heard_most() -> None:
    links = [
        _link("a", "b", 2.75, 7, sd_s=0.093),
        _link("b", "x", 1.66, 5, sd_s=0.155),
        _link("a", "x", 4.36, 8, sd_s=0.166),
    ]
    assert indirect_links(links) == {("a", "x")}


def test_the_one_heard_most_and_most_precise_is_no_sum() -> None:
    links = [
        _link("a", "b", 2.75, 7, sd_s=0.1),
        _link("a", "x", 4.36, 8, sd_s=0.1),
        _link("b", "x", 1.61, 5, sd_s=0.14),
    ]
    assert indirect_links(links) == {("b", "x")}


def test_what_comes_before_its_leader_is_no_middle() -> None:
    links = [
        _link("b", "a", 1.0, 7),
        _link("b", "x", 2.5, 6),
        _link("a", "x", 1.5, 8, sd_s=0.14),
    ]
    assert indirect_links(links) == {("b", "x")}


def test_two_followers_of_one_leader_do_not_follow_each_other() -> None:
    for support in (6, 7, 9):
        links = [_link("a", "b", 1.0, 12), _link("a", "x", 2.5, 11), _link("b", "x", 1.5, support)]
        assert indirect_links(links) == {("b", "x")}


def test_lags_that_do_not_add_up_explain_nothing() -> None:
    links = [_link("a", "b", 1.0, 9), _link("b", "x", 1.5, 8), _link("a", "x", 3.5, 7)]
    assert indirect_links(links) == set()


def test_what_follows_a_piece_of_a_sound_follows_its_head() -> None:
    links = [
        _link("head", "tail", 0.8, 8, "fragments", 0.01),
        _link("head", "b", 3.0, 7),
        _link("tail", "b", 2.2, 6),
    ]
    assert indirect_links(links) == {("tail", "b")}


def test_a_chain_of_pieces_is_followed_three_steps_and_no_further() -> None:
    chain = [_link(a, b, 1.0, 9, "fragments", 0.01) for a, b in ("ab", "bc", "cd", "de")]
    assert indirect_links([*chain, _link("a", "d", 3.0, 8)]) == {("a", "d")}
    assert indirect_links([*chain, _link("a", "e", 4.0, 8)]) == set()


def test_pieces_and_twins_are_never_marked_themselves() -> None:
    links = [_link(a, b, lag, 9, "twins") for a, b, lag in (("a", "b", 0), ("b", "c", 0))]
    assert indirect_links([*links, _link("a", "c", 0.0, 5, "twins")]) == set()
