"""The mel front end: shape of the bank, levels, and row independence to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.records import ANALYSIS_RATE_HZ, BANDS, HOP_SAMPLES
from operators.spectrum import (
    MEL_BANDS,
    N_FFT,
    band_powers,
    levels_db,
    mel_filterbank,
    mel_power,
    pool,
    smooth_bands,
    widen_bands,
)

NOISE = np.random.default_rng(7).normal(size=40 * HOP_SAMPLES) * 0.1
POWERS = band_powers(NOISE)


def test_every_band_of_the_bank_sums_to_one_and_the_bank_cannot_be_changed():
    bank = mel_filterbank()
    assert bank.shape == (MEL_BANDS, N_FFT // 2 + 1)
    np.testing.assert_allclose(bank.sum(axis=1), 1.0, rtol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        bank[0, 0] = 1.0


def test_triangles_are_equally_spaced_and_linear_in_mel():
    bank = mel_filterbank()
    mel = 2595 * np.log10(1 + np.arange(N_FFT // 2 + 1) * ANALYSIS_RATE_HZ / N_FFT / 700)
    step = mel[-1] / (MEL_BANDS + 1)
    for band in (10, 50, 95):
        bins = np.flatnonzero(bank[band])
        expected = 1 - np.abs(mel[bins] - (band + 1) * step) / step
        np.testing.assert_allclose(bank[band, bins], expected / expected.sum(), rtol=1e-9)


def test_more_bands_than_bins_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="use fewer bands or a longer transform"):
        mel_filterbank(96, 256, 44_100)


def test_mel_power_agrees_with_the_dense_bank():
    frames = NOISE[: 5 * N_FFT].reshape(5, N_FFT)
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT))) ** 2
    np.testing.assert_allclose(mel_power(frames), power @ mel_filterbank().T, rtol=1e-10)


@given(start=st.integers(0, 37), count=st.integers(1, 39))
def test_a_row_has_the_same_bits_however_many_are_computed_at_once(start, count):
    stop = min(start + count, 39)
    part = band_powers(NOISE[start * HOP_SAMPLES : (stop + 1) * HOP_SAMPLES])
    assert np.array_equal(part, POWERS[start:stop])
    if len(part) > 2:
        levels = levels_db(part)
        whole = levels_db(POWERS)[start : stop - 2]
        assert np.array_equal(levels, whole)
        assert np.array_equal(smooth_bands(levels), smooth_bands(whole))


def test_a_full_scale_sine_lies_in_its_band_near_54_db_and_silence_at_the_floor():
    time_s = np.arange(6 * HOP_SAMPLES) / ANALYSIS_RATE_HZ
    powers = mel_power(np.sin(2 * np.pi * 1000 * time_s)[None, :N_FFT])
    mel_step = 2595 * np.log10(1 + 22_050 / 700) / (MEL_BANDS + 1)
    band = round(2595 * np.log10(1 + 1000 / 700) / mel_step) - 1
    assert np.argmax(powers[0]) == band
    full_scale = np.abs(np.fft.rfft(np.sin(2 * np.pi * 1000 * time_s[:N_FFT]) * np.hanning(N_FFT)))
    assert 10 * np.log10(np.max(full_scale**2)) == pytest.approx(54, abs=1)
    np.testing.assert_allclose(levels_db(np.zeros((3, BANDS))), -90.0)


def test_pooling_weighs_a_pair_and_its_neighbours():
    mel = np.zeros((1, 8))
    mel[0, 2] = 1.0
    np.testing.assert_allclose(pool(mel), [[0.25, 0.75, 0.0, 0.0]])
    np.testing.assert_allclose(pool(np.ones((2, 8))), np.full((2, 4), 2.0))


def test_the_time_blur_looks_one_frame_to_both_sides():
    powers = np.zeros((5, BANDS))
    powers[2] = 4.0
    np.testing.assert_allclose(
        levels_db(powers)[:, 0], 10 * np.log10(np.array([1, 2, 1]) + 1e-9), rtol=1e-12
    )


def test_neighbouring_bands_are_averaged_or_the_largest_taken():
    levels = np.zeros((1, BANDS))
    levels[0, [0, 10]] = 8.0
    smooth, wide = smooth_bands(levels)[0], widen_bands(levels)[0]
    np.testing.assert_allclose(smooth[[0, 1, 9, 10, 11]], [6, 2, 2, 4, 2])
    np.testing.assert_allclose(wide[[0, 1, 2, 9, 10, 11, 12]], [8, 8, 0, 8, 8, 8, 0])
