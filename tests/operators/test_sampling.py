"""Which spans are made."""

from operators.sampling import Sampling


def test_by_itself_it_keeps_everything() -> None:
    sampling = Sampling(draw=lambda: 0.999)
    assert all(sampling.root() and sampling.live() and sampling.error() for _ in range(500))


def test_a_share_of_windows_is_drawn() -> None:
    draws = iter([0.0, 0.24, 0.25, 0.9])
    sampling = Sampling(0.25, draw=lambda: next(draws))
    assert [sampling.root() for _ in range(4)] == [True, True, False, False]
    assert not Sampling(0.0, draw=lambda: 0.0).root()


def test_what_belongs_to_no_window_that_was_drawn_is_made_up_to_a_rate() -> None:
    now = [10.0]
    sampling = Sampling(0.0, live_per_s=3, errors_per_s=1, clock=lambda: now[0])
    assert [sampling.live() for _ in range(5)] == [True, True, True, False, False]
    assert [sampling.error() for _ in range(2)] == [True, False]  # a rate of its own
    now[0] = 11.0
    assert sampling.live()
    assert sampling.error()
