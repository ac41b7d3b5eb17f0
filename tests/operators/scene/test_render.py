import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene.plan import Plan, PlannedEvent, Spacing, Variation
from operators.scene.presets import EASY, HARD
from operators.scene.render import PEAK, bed, emphasised, levels, loudest, render, rms
from operators.scene.sounds.cast import cast

SPACING = Spacing(1.0, None, 10.0, 1.0)


@pytest.fixture(scope="module")
def sounds():
    return cast(2, 2)


def lone(role, variation, duration_s=8.0):
    return Plan(duration_s, SPACING, (PlannedEvent(role, 4.0, variation),))


def noise_of(seed, count, ambiences=0):
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 5])))
    return bed(rng, count, ambiences).astype(np.float64)


def test_the_bed_is_pink_and_of_unit_level():
    noise = noise_of(1, 30 * ANALYSIS_RATE_HZ)
    assert rms(noise) == pytest.approx(1, abs=0.1)
    power = np.mean(
        np.abs(np.fft.rfft(noise[: 300 * 4_096].reshape(-1, 4_096), axis=1)) ** 2, axis=0
    )
    hz = np.fft.rfftfreq(4_096, 1 / ANALYSIS_RATE_HZ)
    octaves = [power[(hz >= f) & (hz < 2 * f)].sum() for f in (125, 500, 2_000, 8_000)]
    assert 10 * np.log10(octaves) == pytest.approx(np.full(4, 10 * np.log10(octaves[0])), abs=1.2)


def test_the_bed_has_a_steady_level_across_its_blocks():
    noise = emphasised(noise_of(3, 20 * ANALYSIS_RATE_HZ))
    level = [rms(part) for part in noise[: 200 * 4_410].reshape(200, 4_410)]
    assert np.std(20 * np.log10(level)) < 0.5


def test_an_ambience_changes_the_colour_of_the_bed():
    plain, shaped = (emphasised(noise_of(1, 441_000, n)) for n in (0, 2))
    assert rms(plain - shaped) > 0.5 * rms(plain)


@pytest.mark.parametrize("preset", [EASY, HARD])
@pytest.mark.parametrize("gain_db", [0.0, -4.0])
@pytest.mark.parametrize("role", ["A", "D", "G", "once-1"])
def test_an_occurrence_stands_above_the_bed_as_far_as_drawn(sounds, preset, gain_db, role):
    plan = lone(role, Variation(gain_db=gain_db, speed=1.01, tilt_db=0.5))
    snr_db = levels(2, sounds, preset)
    mix = render(2, plan, sounds, snr_db, preset).astype(np.float64)
    noise = noise_of(2, len(mix), preset.ambiences)
    scale = np.dot(mix[:88_200], noise[:88_200]) / np.dot(noise[:88_200], noise[:88_200])
    heard = mix / scale - noise
    measured_db = 20 * np.log10(loudest(heard) / rms(emphasised(noise)))
    assert measured_db == pytest.approx(snr_db[role] + gain_db, abs=0.1)
    assert preset.snr_db[0] <= snr_db[role] <= preset.snr_db[1]


def test_an_occurrence_starts_on_its_sample(sounds):
    mix = render(2, lone("A", Variation()), sounds, dict.fromkeys("A", 60.0), EASY)
    blocks = np.mean(mix.astype(np.float64).reshape(-1, 147) ** 2, axis=1)
    first = np.flatnonzero(blocks > 0.001 * blocks.max())[0] * 147
    assert first == pytest.approx(4 * ANALYSIS_RATE_HZ, abs=1_000)


def test_what_would_sound_beyond_the_end_is_cut(sounds):
    plan = Plan(5.0, SPACING, (PlannedEvent("D", 4.5, Variation()),))
    mix = render(2, plan, sounds, {"D": 30.0}, EASY)
    assert len(mix) == 5 * ANALYSIS_RATE_HZ


def test_the_mix_is_float32_read_only_and_peaks_where_stated(sounds):
    mix = render(2, lone("A", Variation()), sounds, {"A": 25.0}, EASY)
    assert mix.dtype == np.float32
    assert not mix.flags.writeable
    assert np.max(np.abs(mix)) == pytest.approx(PEAK, rel=1e-6)


def test_loudness_of_a_short_sound_counts_the_silence_around_it():
    click = np.zeros(100)
    click[50] = 1
    longer = np.pad(click, 30_000)
    assert loudest(click) == pytest.approx(loudest(longer))
