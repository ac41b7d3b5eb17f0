"""Lines that are said over and over."""

from connectors.logs.repeats import MOST_KINDS, MOST_LINES_A_SPAN, Repeats


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_first_lines_of_a_kind_are_said_and_the_rest_is_counted_with_the_next() -> None:
    clock = Clock()
    repeats = Repeats(clock, most=2, span_s=60.0)
    assert [repeats.pass_on("a") for _ in range(5)] == [0, 0, None, None, None]
    assert repeats.pass_on("b") == 0
    clock.now_s += 60.0
    assert [repeats.pass_on("a") for _ in range(3)] == [3, 0, None]
    assert repeats.left_out() == 1
    assert repeats.left_out() == 0


def test_kinds_are_forgotten_oldest_first() -> None:
    repeats = Repeats(Clock(), most=1)
    for kind in range(MOST_KINDS):
        repeats.pass_on(kind)
    repeats.pass_on(0)  # heard again, so 1 is the oldest
    repeats.pass_on("one too many")
    assert repeats.pass_on(0) is None
    assert repeats.pass_on(1) == 0


def test_more_kinds_than_are_remembered_share_one_bound_and_none_is_uncounted() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    rounds, kinds = 10, MOST_KINDS + 100
    said = [repeats.pass_on(kind) for _ in range(rounds) for kind in range(kinds)]
    told = [each for each in said if each is not None]
    assert len(told) == MOST_LINES_A_SPAN
    assert len(told) + sum(told) + repeats.left_out() == rounds * kinds
    clock.now_s += 60.0
    assert repeats.pass_on("next") == 0
