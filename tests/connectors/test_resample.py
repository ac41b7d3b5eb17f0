"""Spans at the analysis rate: exact positions, any cut, any restart, damage contained."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.resample import Damage, Event, Grid, Mark, Resampler, Span
from operators.records import ANALYSIS_RATE_HZ, Floats


def sound(rate_hz: int, seconds: float, seed: int = 0) -> Floats:
    """A tone in noise, within full scale."""
    n = round(rate_hz * seconds)
    noise = np.random.default_rng(seed).standard_normal(n) * 0.1
    tone = 0.4 * np.sin(2 * np.pi * 440.0 * np.arange(n) / rate_hz)
    return np.clip(noise + tone, -1, 1).astype(np.float32)


def resample(
    rate_hz: int, samples: Floats, cuts: list[int], mark: Mark | None = None
) -> list[Event]:
    resampler = Resampler(rate_hz, mark)
    events: list[Event] = []
    at = mark.input if mark else 0
    turn = 0
    while at < len(samples):
        events += resampler.feed(samples[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    return events + resampler.finish()


def heard(events: list[Event]) -> list[tuple[int, Floats]]:
    """Contiguous runs of samples with their positions, however they were cut."""
    runs: list[tuple[int, list[Floats]]] = []
    end = -1
    for event in events:
        if isinstance(event, Span):
            if event.index != end:
                assert event.index > end
                runs.append((event.index, []))
            runs[-1][1].append(event.samples)
            end = event.index + len(event.samples)
    return [(index, np.concatenate(parts)) for index, parts in runs]


def damage(events: list[Event]) -> list[int]:
    return [event.index for event in events if isinstance(event, Damage)]


def same(one: list[tuple[int, Floats]], other: list[tuple[int, Floats]]) -> bool:
    return [i for i, _ in one] == [i for i, _ in other] and all(
        np.array_equal(a, b) for (_, a), (_, b) in zip(one, other, strict=True)
    )


@pytest.mark.parametrize(
    "rate_hz", [4_000, 8_000, 11_025, 22_050, 44_100, 44_101, 47_999, 48_000, 96_000, 384_000]
)
def test_as_many_samples_come_out_as_the_duration_is_worth(rate_hz: int) -> None:
    samples = sound(rate_hz, 0.73)
    ((index, out),) = heard(resample(rate_hz, samples, [rate_hz // 10]))
    assert index == 0
    assert len(out) == round(len(samples) * ANALYSIS_RATE_HZ / rate_hz)
    assert np.array_equal(out, soxr.resample(samples, rate_hz, ANALYSIS_RATE_HZ))


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_a_handful_of_samples_is_enough(length: int) -> None:
    ((index, out),) = heard(resample(8_000, np.ones(length, np.float32), [3]))
    assert (index, len(out)) == (0, (length * 441 + 40) // 80)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
def test_a_seam_between_sections_cannot_be_heard(rate_hz: int) -> None:
    samples = sound(rate_hz, 31.5)
    ((_, out),) = heard(resample(rate_hz, samples, [rate_hz // 10]))
    whole = soxr.resample(samples, rate_hz, ANALYSIS_RATE_HZ)
    assert len(out) == len(whole)
    assert np.abs(out - whole).max() < 1e-6
    seam = Grid.of(rate_hz).nearest(Grid.of(rate_hz).boundary(0))
    assert 0 < seam < len(out)
    assert np.array_equal(out[:seam], whole[:seam])


@pytest.mark.parametrize("seconds", [29.6, 29.99, 30.0, 30.01, 30.2])
def test_an_end_near_a_seam_loses_nothing(seconds: float) -> None:
    samples = sound(8_000, seconds)
    ((_, out),) = heard(resample(8_000, samples, [800]))
    assert np.abs(out - soxr.resample(samples, 8_000, ANALYSIS_RATE_HZ)).max() < 1e-6


@pytest.mark.parametrize("rate_hz", [4_001, 47_999])
def test_sections_put_right_what_soxr_drifts_at_rates_without_a_simple_ratio(rate_hz: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(rate_hz * 70) / rate_hz)
    ((_, out),) = heard(resample(rate_hz, tone.astype(np.float32), [rate_hz // 10]))
    ideal = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(len(out)) / ANALYSIS_RATE_HZ)
    off = np.abs(out - ideal)[ANALYSIS_RATE_HZ:-ANALYSIS_RATE_HZ]
    last_s = off[-5 * ANALYSIS_RATE_HZ :]
    assert off.max() < 1e-5
    assert last_s.max() < 5e-6


SAMPLES = sound(4_000, 62.3)
SAMPLES[8_000:8_010] = np.nan
SAMPLES[8_100] = np.inf
SAMPLES[119_000] = np.nan
SAMPLES[180_000:190_000] = 3e38
WHOLE = resample(4_000, SAMPLES, [400])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=4).filter(lambda cuts: sum(cuts) > 150))
def test_the_samples_do_not_depend_on_how_the_input_was_cut(cuts: list[int]) -> None:
    events = resample(4_000, SAMPLES, cuts)
    assert same(heard(events), heard(WHOLE))
    assert damage(events) == damage(WHOLE)


def test_every_mark_is_a_place_to_restart_from_bit_for_bit() -> None:
    marks = [at for at, event in enumerate(WHOLE) if isinstance(event, Mark)]
    assert len(marks) >= 4
    for at in marks:
        mark = WHOLE[at]
        assert isinstance(mark, Mark)
        again = resample(4_000, SAMPLES, [777], mark)
        assert same(heard(again), heard(WHOLE[at:]))
        assert damage(again) == damage(WHOLE[at:])


def test_a_long_recording_can_be_restarted_within_a_section() -> None:
    inputs = [
        event.input for event in resample(8_000, sound(8_000, 95), [800]) if isinstance(event, Mark)
    ]
    assert inputs == [8_000 * 30 - 4_000, 8_000 * 60 - 4_000, 8_000 * 90 - 4_000]


def test_what_is_not_a_number_is_a_gap_and_never_spreads() -> None:
    samples = sound(48_000, 3)
    samples[48_000:72_000] = np.nan
    events = resample(48_000, samples, [4_800])
    (first, before), (second, after) = heard(events)
    assert damage(events) == [44_100]
    assert (first, len(before)) == (0, 44_100)
    assert second == round(44_100 * 1.55)
    assert second + len(after) == 44_100 * 3
    assert np.isfinite(before).all()
    assert np.isfinite(after).all()
    clean = soxr.resample(sound(48_000, 3), 48_000, ANALYSIS_RATE_HZ)
    assert np.abs(after[2_000:] - clean[second + 2_000 :]).max() < 1e-6


def test_without_resampling_a_gap_is_exact_and_the_rest_untouched() -> None:
    samples = sound(44_100, 2)
    samples[30_000] = np.inf
    events = resample(44_100, samples, [4_410])
    (_, before), (second, after) = heard(events)
    assert damage(events) == [30_000]
    assert np.array_equal(before, samples[:30_000])
    assert second == 30_001 + 2_205
    assert np.array_equal(after, samples[second:])


def test_damage_that_returns_at_once_is_said_once() -> None:
    samples = sound(44_100, 1)
    samples[4_410:22_050:2] = np.nan
    assert damage(resample(44_100, samples, [441])) == [4_410]


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 384_000])
def test_a_single_bad_sample_always_leaves_a_gap(rate_hz: int) -> None:
    samples = sound(rate_hz, 0.5)
    samples[rate_hz // 4] = np.nan
    assert len(heard(resample(rate_hz, samples, [rate_hz // 10]))) == 2


def test_a_recording_without_a_single_number_has_its_length_and_no_sound() -> None:
    resampler = Resampler(8_000)
    events = [*resampler.feed(np.full(16_000, np.nan, np.float32)), *resampler.finish()]
    assert heard(events) == []
    assert damage(events) == [0]
    assert resampler.end == 2 * ANALYSIS_RATE_HZ
