import numpy as np
import pytest

from operators.scene.sounds.cast import KINDS, LONG_ROLES, ROLES, SHORTEST_S, cast


@pytest.fixture(scope="module")
def casts():
    return {seed: cast(seed, 10) for seed in range(6)}


def test_every_role_and_every_distractor_is_cast_with_a_kind_of_its_own(casts):
    for sounds in casts.values():
        assert [sound.role for sound in sounds[:10]] == list(ROLES)
        assert [sound.name for sound in sounds[10:]] == [f"once-{n}" for n in range(1, 11)]
        assert len({sound.kind for sound in sounds}) == 20


def test_planted_sounds_are_named_by_role_and_kind(casts):
    assert all(sound.name == f"{sound.role}-{sound.kind}" for sound in casts[0][:10])


def test_lengths_are_those_of_one_shots_and_of_phrases(casts):
    for sounds in casts.values():
        extents = {sound.role: sound.extent_s for sound in sounds}
        for role, extent_s in extents.items():
            low, high = LONG_ROLES.get(role, (SHORTEST_S, 1.51))
            assert low <= extent_s <= high * 1.16
        assert extents["E"] < 0.65 * extents["D"]
        assert extents["H"] < 0.65 * extents["G"]


def test_a_sound_starts_at_once_peaks_at_one_and_cannot_be_changed(casts):
    for sound in casts[3]:
        assert sound.samples.dtype == np.float32
        assert np.max(np.abs(sound.samples)) == 1
        # 30 dB below the loudest 10 ms is the start by definition.
        blocks = sound.samples[: len(sound.samples) // 441 * 441].reshape(-1, 441)
        power = np.mean(blocks.astype(np.float64) ** 2, axis=1)
        assert power[0] > 0.0005 * power.max()
        assert not sound.samples.flags.writeable


def test_the_same_seed_gives_the_same_sounds_and_another_seed_others(casts):
    again = cast(5, 10)
    for one, two in zip(casts[5], again, strict=True):
        assert np.array_equal(one.samples, two.samples)
    assert [sound.kind for sound in casts[5]] != [sound.kind for sound in casts[4]]


def test_one_kind_sounds_different_under_different_seeds(casts):
    bells = [s for sounds in casts.values() for s in sounds if s.kind == "bell"]
    spectra = []
    for bell in bells:
        power = np.abs(np.fft.rfft(bell.samples[:8_192], 8_192)) ** 2
        spectra.append(np.log(power + 1e-4 * power.max()))
    likeness = np.corrcoef(spectra)
    assert np.max(likeness[np.triu_indices(len(bells), 1)]) < 0.9


def test_more_distractors_than_kinds_are_still_all_different():
    sounds = cast(1, 14)[10:]
    assert len(sounds) == 14
    assert len({sound.samples.tobytes() for sound in sounds}) == 14
    assert {sound.kind for sound in sounds} < set(KINDS)
