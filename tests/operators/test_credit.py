"""Credit: counted once, refused when misused, exact under threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from operators.credit import Credit


def test_credit_is_available_until_the_limit_is_taken_and_again_when_given_back():
    credit = Credit(2)
    assert credit.available
    credit.take()
    assert credit.remaining == 1
    credit.take()
    assert not credit.available
    credit.give()
    assert credit.available
    assert credit.outstanding == 1


def test_restored_work_takes_its_credit_beyond_the_limit_and_pays_it_off():
    credit = Credit(2)
    credit.take(5)
    assert credit.remaining == -3
    credit.give(3)
    assert not credit.available
    credit.give()
    assert credit.available


def test_giving_back_more_than_was_taken_is_refused_and_changes_nothing():
    credit = Credit(4)
    credit.take(2)
    with pytest.raises(ValueError, match=r"give\(3\) with 2 outstanding"):
        credit.give(3)
    assert credit.outstanding == 2


@pytest.mark.parametrize("misuse", [lambda c: c.take(-1), lambda c: c.give(-1)])
def test_negative_amounts_are_refused(misuse):
    credit = Credit(1)
    with pytest.raises(ValueError, match="credit"):
        misuse(credit)
    assert credit.outstanding == 0


def test_a_limit_that_stops_everything_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Credit(0)


def test_many_threads_count_exactly():
    credit = Credit(10)

    def work(_: int) -> None:
        for _ in range(500):
            credit.take(2)
            credit.give()
            credit.give()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert credit.outstanding == 0
    assert credit.remaining == 10
