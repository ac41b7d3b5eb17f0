"""What kind of company two sounds keep."""

import pytest

from operators.relations.config import RelationConfig
from operators.relations.kinds import Company, Sound, kind_of
from operators.relations.pair_evidence import PairEvidence

CONFIG = RelationConfig()


def _company(support: int, lag_s: float, sd_s: float, **counts: int) -> Company:
    given = {"at_once": 0, "overlapping": 0, "b_in_a": 0, "a_in_b": 0} | counts
    return Company(support, lag_s, sd_s, first_s=0.0, last_s=1.0, **given)


def test_company_is_summed_over_the_window_and_its_deviation_is_unbiased() -> None:
    evidence = PairEvidence({})
    for lag_ms in (1_000, 1_100, 1_200, 5_000):
        evidence.add((0, 2_000_000), (lag_ms * 1_000, lag_ms * 1_000 + 500_000), 100_000)
    company = Company.of(evidence, 9, 13, 1)
    assert (company.support, company.overlapping, company.b_in_a) == (3, 3, 3)
    assert company.lag_s == pytest.approx(1.1)
    assert company.lag_sd_s == pytest.approx(0.1)
    assert (company.first_s, company.last_s) == (0.0, 1.2)


@pytest.mark.parametrize(
    ("support", "lag_s", "sd_s", "counts", "kind"),
    [
        (8, 0.3, 0.2, {"at_once": 4, "overlapping": 8}, "twins"),
        (5, 0.2, 0.05, {"overlapping": 5}, "twins"),
        (5, 0.2, 0.15, {"overlapping": 5}, "overlapping"),
        (4, 0.2, 0.05, {"overlapping": 4}, "overlapping"),
        (5, 0.2, 0.05, {"overlapping": 0}, "sequential"),
    ],
)
def test_begun_at_once_or_always_nearly_so_is_one_event(
    support: int, lag_s: float, sd_s: float, counts: dict[str, int], kind: str
) -> None:
    sounds = Sound(10, 0.5), Sound(9, 0.5)
    assert kind_of(*sounds, _company(support, lag_s, sd_s, **counts), CONFIG)[0] == kind


@pytest.mark.parametrize(
    ("sd_s", "lag_s", "support", "kind"),
    [
        (0.01, 0.9, 8, "fragments"),
        (0.05, 0.9, 8, "sequential"),
        (0.01, 1.6, 8, "sequential"),
        (0.01, 0.9, 6, "sequential"),
        (0.05, 0.6, 9, "fragments"),
        (0.05, 0.6, 8, "sequential"),
        (0.25, 0.6, 9, "sequential"),
    ],
)
def test_only_rigid_close_and_constant_company_is_pieces_of_one_sound(
    sd_s: float, lag_s: float, support: int, kind: str
) -> None:
    sounds = Sound(10, 0.5), Sound(9, 0.5)
    assert kind_of(*sounds, _company(support, lag_s, sd_s), CONFIG) == (kind, False)
    assert kind_of(*sounds[::-1], _company(support, -lag_s, sd_s), CONFIG) == (kind, True)


def test_a_very_rigid_piece_may_have_been_missed_often() -> None:
    sounds = Sound(16, 0.5), Sound(8, 0.5)
    assert kind_of(*sounds, _company(7, 0.6, 0.01), CONFIG)[0] == "fragments"
    assert kind_of(*sounds, _company(6, 0.6, 0.01), CONFIG)[0] == "sequential"
    assert kind_of(*sounds, _company(7, 0.6, 0.03), CONFIG)[0] == "sequential"


def test_a_rigid_part_that_is_also_heard_alone_is_no_piece_of_a_rarer_whole() -> None:
    whole, part = Sound(7, 3.0), Sound(10, 0.5)
    inside = _company(6, 0.92, 0.01, overlapping=6, b_in_a=6)
    assert kind_of(whole, part, inside, CONFIG) == ("composite", False)
    assert kind_of(whole, Sound(7, 0.5), inside, CONFIG)[0] == "fragments"


def test_a_part_has_its_place_and_a_life_of_its_own() -> None:
    whole, part = Sound(9, 3.0), Sound(12, 0.5)
    inside = {"overlapping": 8, "b_in_a": 8}
    assert kind_of(whole, part, _company(8, 1.2, 0.05, **inside), CONFIG) == ("composite", False)
    assert kind_of(whole, part, _company(8, 1.2, 0.6, **inside), CONFIG)[0] == "overlapping"
    never_alone = Sound(8, 0.5)
    always = _company(8, 1.2, 0.05, **inside)
    assert kind_of(Sound(8, 3.0), never_alone, always, CONFIG)[0] == "fragments"
    often = _company(7, 1.2, 0.05, overlapping=7, b_in_a=7)
    assert kind_of(Sound(8, 3.0), never_alone, often, CONFIG)[0] == "overlapping"
    as_long = Sound(12, 2.5)
    assert kind_of(whole, as_long, _company(8, 1.2, 0.05, **inside), CONFIG)[0] == "overlapping"
    cut_short = _company(8, 1.2, 0.05, overlapping=8, b_in_a=3)
    assert kind_of(whole, part, cut_short, CONFIG)[0] == "composite"
    for lag_s in (2.7, -0.4):
        outside = _company(8, lag_s, 0.05, overlapping=8, b_in_a=3)
        assert kind_of(whole, part, outside, CONFIG)[0] == "overlapping"


def test_a_part_heard_all_over_the_whole_has_no_place_in_it_wherever_most_are_close() -> None:
    whole, part = Sound(9, 3.0), Sound(12, 0.5)
    counts = {"overlapping": 6, "b_in_a": 6}
    kinds = {
        (sd_s, ever): kind_of(
            whole, part, _company(6, 1.2, sd_s, **counts, b_in_a_ever=ever), CONFIG
        )[0]
        for sd_s in (0.05, 0.15)
        for ever in (7, 8, 9)
    }
    # Close to the frame fewer will do: six of eight are not that close by chance.
    assert [kinds[0.05, ever] for ever in (7, 8, 9)] == ["composite", "composite", "overlapping"]
    assert [kinds[0.15, ever] for ever in (7, 8, 9)] == ["composite", "overlapping", "overlapping"]


def test_parts_are_counted_at_any_lag() -> None:
    evidence = PairEvidence({})
    for lag_ms in (100, 1_200, 1_210, 2_300):
        evidence.add((0, 3_000_000), (lag_ms * 1_000, lag_ms * 1_000 + 500_000), 100_000)
    company = Company.of(evidence, 12, 13, 1)
    assert (company.b_in_a, company.b_in_a_ever, company.a_in_b_ever) == (2, 4, 0)


def test_the_whole_is_the_source_whichever_comes_first_in_name() -> None:
    part, whole = Sound(12, 0.5), Sound(9, 3.0)
    company = _company(8, -1.2, 0.05, overlapping=8, a_in_b=8)
    assert kind_of(part, whole, company, CONFIG) == ("composite", True)


def test_of_two_that_overlap_the_earlier_is_the_source_or_the_smaller_id_if_none_is() -> None:
    sounds = Sound(12, 2.0), Sound(12, 2.0)
    earlier = _company(8, -0.8, 0.5, overlapping=8)
    neither = _company(8, -0.1, 0.5, overlapping=8)
    assert kind_of(*sounds, earlier, CONFIG) == ("overlapping", True)
    assert kind_of(*sounds, neither, CONFIG) == ("overlapping", False)
