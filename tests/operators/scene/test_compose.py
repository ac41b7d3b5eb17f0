import hashlib

import numpy as np
import pytest

from operators.records import ANALYSIS_RATE_HZ
from operators.scene import EASY, PRESETS, scene
from operators.scene.render import PEAK


@pytest.fixture(scope="module")
def odd():
    return scene(5)


@pytest.fixture(scope="module")
def even():
    return scene(4, 150)


def digest(samples):
    return hashlib.sha256(samples.tobytes()).hexdigest()


def test_the_same_seed_gives_the_same_samples_and_truth(even):
    again = scene(4, 150)
    assert digest(even.samples) == digest(again.samples)
    assert even.truth == again.truth


def test_another_seed_gives_another_scene(odd, even):
    assert digest(odd.samples) != digest(even.samples)
    assert odd.truth.planted() != even.truth.planted()


def test_a_scene_lasts_five_minutes_below_full_scale(odd):
    assert odd.samples.shape == (300 * ANALYSIS_RATE_HZ,)
    assert odd.samples.dtype == np.float32
    assert np.max(np.abs(odd.samples)) <= PEAK + 1e-6
    assert odd.preset is EASY


def test_ten_sounds_are_planted_among_ten_distractors(odd):
    assert len(odd.truth.planted()) == 10
    once = {event.sound for event in odd.truth.events} - set(odd.truth.planted())
    assert once == {f"once-{n}" for n in range(1, 11)}


def test_relations_name_planted_sounds_and_the_chain_has_its_second_link_on_odd_seeds(odd, even):
    for one, kinds in (
        (odd, ["sequential", "sequential", "overlapping", "composite", "periodic"]),
        (even, ["sequential", "overlapping", "composite", "periodic"]),
    ):
        assert [relation.kind for relation in one.truth.relations] == kinds
        planted = {*one.truth.planted(), ""}
        for relation in one.truth.relations:
            assert {relation.source, relation.target} <= planted
            assert (relation.kind == "periodic") == (relation.target == "")
            assert (relation.period_s is not None) == (relation.kind == "periodic")
            assert (relation.lag_s is not None) == (relation.kind in ("sequential", "composite"))


def test_about_a_third_of_the_events_is_mostly_covered_by_others(odd, even):
    covered = []
    for one in (odd, even):
        planted = set(one.truth.planted())
        for event in one.truth.events:
            if event.sound in planted:
                grid = np.linspace(event.start_s, event.end_s, 100)
                under = np.zeros(100, dtype=bool)
                for other in one.truth.events:
                    if other is not event:
                        under |= (grid >= other.start_s) & (grid <= other.end_s)
                covered.append(under.mean() >= 0.5)
    assert 0.22 <= np.mean(covered) <= 0.42


def test_events_last_as_long_as_they_are_played(odd):
    extents = {sound.name: sound.extent_s for sound in odd.sounds}
    for planned, event in zip(odd.plan.events, odd.truth.events, strict=True):
        length_s = extents[event.sound] / planned.variation.speed
        assert event.end_s - event.start_s == pytest.approx(length_s, abs=1e-5)


def test_events_are_audible_where_the_truth_says(odd):
    level = np.mean(np.diff(odd.samples)[: 300 * 100 * 441 - 441].reshape(-1, 441) ** 2, axis=1)
    floor = np.quantile(level, 0.2)
    for event in odd.truth.events:
        blocks = level[round(event.start_s * 100) : round(event.end_s * 100) + 1]
        assert blocks.max() > 4 * floor


@pytest.mark.parametrize("name", ["medium", "hard"])
def test_the_harder_presets_play_too(name):
    hard = scene(3, 120, PRESETS[name])
    assert np.all(np.isfinite(hard.samples))
    assert len(hard.truth.planted()) == 10


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed -1 is negative: take 0 or more"):
        scene(-1)
