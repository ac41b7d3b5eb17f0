import numpy as np
import pytest
from numpy.typing import NDArray

from bench.degrade import LEAD, RATE_HZ, combined, noisy, reverberant, softer, tilted, window

Signal = NDArray[np.float64]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def burst(seconds: float = 0.1) -> NDArray[np.float32]:
    """A burst of noise after the lead that every sound has, and silence until 2 s."""
    sound = np.zeros(2 * RATE_HZ, np.float32)
    length = round(seconds * RATE_HZ)
    sound[LEAD : LEAD + length] = 0.3 * rng(9).standard_normal(length)
    return sound


def db(one: Signal, other: Signal) -> float:
    return float(10 * np.log10(np.mean(np.square(one)) / np.mean(np.square(other))))


def test_a_window_begins_with_the_sound_or_so_much_before_or_after_it() -> None:
    sound = burst()
    assert np.array_equal(window(sound), sound[LEAD : LEAD + RATE_HZ])
    earlier = window(sound, -LEAD)
    assert not earlier[:LEAD].any()
    assert np.array_equal(earlier[LEAD:], window(sound)[: RATE_HZ - LEAD])
    assert np.array_equal(window(sound, RATE_HZ)[: RATE_HZ // 2], sound[LEAD + RATE_HZ :])
    assert len(window(sound, RATE_HZ)) == RATE_HZ


def test_softer_is_never_louder_and_at_most_so_much_softer() -> None:
    heard = window(burst())
    losses = [db(heard, softer(heard, rng(seed), 20.0)) for seed in range(50)]
    assert 0 <= min(losses) < 2
    assert 18 < max(losses) <= 20


@pytest.mark.parametrize("snr_db", [20.0, 5.0])
def test_noise_lies_so_far_below_the_power_of_the_window(snr_db: float) -> None:
    heard = window(burst(1.0))
    noise = noisy(heard, rng(), snr_db).astype(np.float64) - heard
    assert db(heard, noise) == pytest.approx(snr_db, abs=0.01)


def test_against_the_loudest_quarter_a_short_sound_gets_6_db_more_noise() -> None:
    heard = window(burst(0.1))
    mild, hard = (noisy(heard, rng(), 20.0, against) - heard for against in ("window", "loudest"))
    assert db(hard, mild) == pytest.approx(6.02, abs=0.05)


def test_the_noise_is_pink() -> None:
    noise = noisy(np.ones(RATE_HZ, np.float32), rng(), 0.0) - np.float32(1.0)
    power = np.square(np.abs(np.fft.rfft(noise)))
    octaves = [power[low : 2 * low].sum() for low in (100, 400, 1600, 6400)]
    assert max(octaves) / min(octaves) < 1.5


def test_a_room_rings_on_where_the_sound_has_ended() -> None:
    dry = burst().astype(np.float64)
    wet = reverberant(dry, rng())
    after = slice(LEAD + RATE_HZ // 8, LEAD + RATE_HZ // 4)
    assert not dry[after].any()
    assert np.square(wet[after]).mean() > 1e-7
    assert not wet[: LEAD - 1].round(9).any()


def test_another_microphone_tilts_the_spectrum_about_1_khz() -> None:
    signal = rng().standard_normal(RATE_HZ)
    change = np.abs(np.fft.rfft(tilted(signal, rng(1)))) / np.abs(np.fft.rfft(signal))
    assert change[1_000] == pytest.approx(1.0, abs=1e-6)
    assert change[10_000] * change[100] == pytest.approx(1.0, abs=1e-6)
    assert abs(change[10_000] - 1.0) > 1e-3


def test_all_at_once_is_drawn_from_the_generator_and_nothing_else() -> None:
    sound = burst()
    one, again, other = (combined(sound, rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == (RATE_HZ,)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert np.array_equal(sound, burst())
