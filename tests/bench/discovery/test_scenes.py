"""A short scene of synthesised sounds."""

from collections import Counter

import numpy as np
import pytest

from bench.discovery import scenes
from bench.discovery.casting import LONG_ROLES, sound_of
from bench.discovery.library import Clip, synthesised
from bench.discovery.scenes import BenchScene
from operators.records import ANALYSIS_RATE_HZ

DURATION_S = 300.0
SEED = 3


@pytest.fixture(scope="module")
def library() -> tuple[Clip, ...]:
    return synthesised(5)


@pytest.fixture(scope="module")
def made(library: tuple[Clip, ...]) -> BenchScene:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scenes, "real", lambda: ())
        patched.setattr(scenes, "synthesised", lambda: library)
        return scenes.scene(SEED, "easy", DURATION_S)


def test_the_library_has_long_sounds_and_a_voice(library: tuple[Clip, ...]) -> None:
    shortest_s = min(shortest_s for shortest_s, _ in LONG_ROLES.values())
    assert sum(clip.extent_s >= shortest_s for clip in library) >= len(LONG_ROLES)
    assert {clip.kind for clip in library if clip.spoken} == {"babble"}
    assert len({clip.name for clip in library}) == len(library)
    assert all(0.2 <= clip.extent_s <= 4.2 for clip in library)


def test_the_audio_holds_what_the_truth_says(made: BenchScene) -> None:
    assert len(made.samples) == DURATION_S * ANALYSIS_RATE_HZ
    assert made.samples.dtype == np.float32
    assert np.abs(made.samples).max() <= 1.0
    power = np.square(made.samples, dtype=np.float64)
    bed = np.median(np.add.reduceat(power, np.arange(0, len(power), 4_410)))
    louder = [
        power[at : at + 4_410].sum() > 2 * bed
        for event in made.truth.events
        for at in [round(event.start_s * ANALYSIS_RATE_HZ)]
    ]
    assert np.mean(louder) > 0.9


def test_recordings_of_a_class_are_sounds_of_their_own(made: BenchScene) -> None:
    counts = Counter(event.sound for event in made.truth.events)
    assert set(made.classes) <= set(counts)
    assert set(made.classes.values()) == {"L", "M"}
    assert all(sound.partition("-")[0].count(".") == 1 for sound in made.classes)
    assert all(sound_of(sound) == of for sound, of in made.classes.items())
    assert min(Counter(made.classes.values()).values()) >= 3
    assert sum(sound.startswith("once") for sound in counts) == 10


def test_what_is_similar_and_what_is_related_was_planted(made: BenchScene) -> None:
    sounds = {event.sound for event in made.truth.events}
    (first, second), (voice, other) = made.similar
    assert (first[:2], second[:3], voice[:2], other[:3]) == ("F-", "F2-", "V-", "V2-")
    assert {first, second, voice, other} <= sounds
    kinds = Counter(relation.kind for relation in made.truth.relations)
    assert kinds == {"sequential": 2, "overlapping": 1, "composite": 1, "periodic": 1}
    for relation in made.truth.relations:
        assert {relation.source, relation.target} - {""} <= sounds


def test_a_scene_is_a_function_of_its_seed(
    made: BenchScene, library: tuple[Clip, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes, "real", lambda: library)
    again = scenes.scene(SEED, "easy", DURATION_S)
    assert again.truth == made.truth
    assert np.array_equal(again.samples, made.samples)
