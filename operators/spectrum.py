"""The mel front end: power of sound in bands on a mel scale, one row a spectral frame.

Frame k is centred on sample ``HOP_SAMPLES * k`` of the stream, so that a row depends on the audio
around that sample only and never on how the audio was delivered. The 96-band mel is also what the
default model looks at; discovery uses it pooled to ``BANDS`` bands and blurred over three frames.

Invariant: a row is bit-identical however many rows are computed together. Hence no matrix product
anywhere (BLAS may change the last bit with the number of rows); sums run along each row alone.
It does not know streams, gaps or the edges of recordings.
"""

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from operators.records import ANALYSIS_RATE_HZ, BANDS, HOP_SAMPLES

Doubles: TypeAlias = NDArray[np.float64]

N_FFT = 2_048
MEL_BANDS = 96
POWER_FLOOR = 1e-9
"""Added before the logarithm: digital silence is -90 dB, a full-scale sine about +54 dB."""


def hz_to_mel(frequency_hz: Doubles) -> Doubles:
    """Mel scale of the HTK book (Young et al., 2006): 2595 log10(1 + f / 700)."""
    mel: Doubles = 2595.0 * np.log10(1.0 + frequency_hz / 700.0)
    return mel


@cache
def mel_filterbank(
    bands: int = MEL_BANDS, n_fft: int = N_FFT, rate_hz: int = ANALYSIS_RATE_HZ
) -> Doubles:
    """Triangular filters, equally spaced and linear in mel from 0 Hz to half the rate.

    Args:
        bands: number of triangles; each reaches from its lower to its upper neighbour's centre.
        n_fft: transform length the power spectrum comes from.
        rate_hz: sampling rate of the audio.

    Returns:
        (bands, n_fft // 2 + 1) weights, read-only; every row sums to 1.

    Raises:
        ValueError: the triangles are narrower than the bins, so that some would be empty.
    """
    bins_mel = hz_to_mel(np.arange(n_fft // 2 + 1, dtype=np.float64) * (rate_hz / n_fft))
    edges = np.linspace(0.0, bins_mel[-1], bands + 2)
    width = edges[1] - edges[0]
    distance = np.abs(bins_mel[None, :] - edges[1:-1, None]) / width
    weights: Doubles = np.maximum(0.0, 1.0 - distance)
    sums = np.add.reduce(weights, axis=1)
    if not np.all(sums > 0.0):
        raise ValueError(
            f"mel_filterbank: {bands} bands leave some without a bin of {n_fft} at {rate_hz} Hz; "
            "use fewer bands or a longer transform"
        )
    weights /= sums[:, None]
    weights.flags.writeable = False
    return weights


@cache
def _sparse_bank(
    bands: int, n_fft: int, rate_hz: int
) -> tuple[NDArray[np.intp], Doubles, list[int]]:
    """The bank as (bins, weights, first entry of each band): two entries a bin at most."""
    bank = mel_filterbank(bands, n_fft, rate_hz)
    rows, bins = np.nonzero(bank)
    starts = np.searchsorted(rows, np.arange(bands)).tolist()
    return bins, bank[rows, bins], starts


@cache
def _hann(n_fft: int) -> Doubles:
    window: Doubles = np.hanning(n_fft)
    return window


def mel_power(frames: Doubles, bands: int = MEL_BANDS, rate_hz: int = ANALYSIS_RATE_HZ) -> Doubles:
    """Mel power of audio frames: symmetric Hann window, unscaled power, ``mel_filterbank``.

    Args:
        frames: (n, n_fft) samples, nominally within [-1, 1].
        bands: number of mel bands.
        rate_hz: sampling rate of the audio.

    Returns:
        (n, bands) power; row i depends on ``frames[i]`` only, to the last bit.
    """
    n_fft = frames.shape[1]
    bins, weights, starts = _sparse_bank(bands, n_fft, rate_hz)
    spectrum = np.fft.rfft(frames * _hann(n_fft), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    mel: Doubles = np.add.reduceat(np.take(power, bins, axis=1) * weights, starts, axis=1)
    return mel


def pool(mel: Doubles) -> Doubles:
    """Pool 2n mel bands to n with the kernel (.25 .75 .75 .25); the outermost bands are repeated.

    Neighbouring results overlap by half a mel band, which makes them tolerant to small shifts in
    pitch. The kernel sums to 2: a pooled band holds the power of the pair it stands for.
    """
    wide = np.concatenate((mel[:, :1], mel, mel[:, -1:]), axis=1)
    inner = wide[:, 1:-1:2] + wide[:, 2::2]
    outer = wide[:, :-2:2] + wide[:, 3::2]
    pooled: Doubles = 0.75 * inner + 0.25 * outer
    return pooled


def band_powers(audio: Doubles) -> Doubles:
    """Pooled band powers of all whole frames in a piece of audio.

    Args:
        audio: ((n + 1) * HOP_SAMPLES,) samples; row i is centred on sample (i + 1) * HOP_SAMPLES.

    Returns:
        (n, BANDS) power.
    """
    halves = audio.reshape(-1, HOP_SAMPLES)
    frames = np.concatenate((halves[:-1], halves[1:]), axis=1)
    return pool(mel_power(frames, bands=2 * BANDS))


def levels_db(powers: Doubles) -> Doubles:
    """Levels of all but the first and the last row, blurred in time by (.25 .5 .25).

    Args:
        powers: (n + 2, BANDS) band powers of consecutive frames.

    Returns:
        (n, BANDS) levels, 10 log10(power + ``POWER_FLOOR``) in dB.
    """
    blurred = 0.5 * powers[1:-1] + 0.25 * (powers[:-2] + powers[2:])
    levels: Doubles = 10.0 * np.log10(blurred + POWER_FLOOR)
    return levels


def widen_bands(levels: Doubles) -> Doubles:
    """(n, BANDS) levels, each the largest of itself and its two neighbours."""
    wide = levels.copy()
    np.maximum(wide[:, 1:], levels[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], levels[:, 1:], out=wide[:, :-1])
    return wide


def smooth_bands(levels: Doubles) -> Doubles:
    """(n, BANDS) levels averaged with their neighbours by (.25 .5 .25); edges are repeated."""
    smooth = 0.5 * levels
    smooth[:, 1:-1] += 0.25 * (levels[:, :-2] + levels[:, 2:])
    smooth[:, 0] += 0.25 * (levels[:, 0] + levels[:, 1])
    smooth[:, -1] += 0.25 * (levels[:, -2] + levels[:, -1])
    return smooth
