"""Who plays what, with a library of clicks: many kinds, no synthesis."""

from collections import Counter

import numpy as np
import pytest

from bench.discovery.casting import CLASSES, LONG_ROLES, SHORT_ROLES, cast, sound_of
from bench.discovery.library import Clip
from operators.records import ANALYSIS_RATE_HZ

ONE_OFFS = 10
LENGTHS_S = (0.5, 0.8, 2.3, 2.4)


@pytest.fixture(scope="module")
def library() -> tuple[Clip, ...]:
    """Sixty kinds of four sounds each, and a voice with six phrases."""

    def clip(name: str, kind: str, extent_s: float, spoken: bool = False) -> Clip:
        rng = np.random.default_rng(len(name))
        samples = rng.normal(0, 0.1, round(extent_s * ANALYSIS_RATE_HZ)).astype(np.float32)
        return Clip(name, kind, samples, extent_s, spoken)

    clips = [
        clip(f"k{kind}/{n}", f"k{kind}", length)
        for kind in range(60)
        for n, length in enumerate(LENGTHS_S)
    ]
    return (*clips, *(clip(f"voice/{n}", "voice", 1.0, spoken=True) for n in range(6)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_role_is_cast_once_and_within_its_length(
    seed: int, library: tuple[Clip, ...]
) -> None:
    sounds = cast(seed, library, ONE_OFFS)
    by_role = {sound.role: sound for sound in sounds}
    assert len(by_role) == len(sounds)
    plain = {*SHORT_ROLES, *LONG_ROLES, "F2", "V", "V2"}
    once = {f"once-{n + 1}" for n in range(ONE_OFFS)}
    recordings = {role for role in by_role if "." in role}
    assert set(by_role) == plain | once | recordings
    for role, (shortest_s, longest_s) in LONG_ROLES.items():
        assert shortest_s <= by_role[role].extent_s <= longest_s
    assert max(by_role[role].extent_s for role in ("E", "H")) <= 0.9
    assert max(by_role[role].extent_s for role in SHORT_ROLES) <= 1.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_kind_is_cast_twice(seed: int, library: tuple[Clip, ...]) -> None:
    sounds = cast(seed, library, ONE_OFFS)
    classes = {sound_of(sound.role) for sound in sounds if "." in sound.role}
    assert classes == set(CLASSES)
    kinds: dict[str, set[str]] = {}
    for sound in sounds:
        kinds.setdefault(sound.kind, set()).add(sound_of(sound.role))
    shared = {frozenset(roles) for roles in kinds.values() if len(roles) > 1}
    assert shared == {frozenset({"V", "V2"}), frozenset({"F", "F2"})}


def test_recordings_of_a_class_have_names_of_their_own(library: tuple[Clip, ...]) -> None:
    recordings = [sound for sound in cast(3, library, ONE_OFFS) if "." in sound.role]
    assert len({sound.name for sound in recordings}) == len(recordings)
    assert all(3 <= count <= 5 for count in Counter(s.kind for s in recordings).values())
    assert len({s.kind for s in recordings if s.role.startswith("L")}) == 1


def test_f2_is_f_at_another_pitch(library: tuple[Clip, ...]) -> None:
    by_role = {sound.role: sound for sound in cast(4, library, 0)}
    first, second = by_role["F"], by_role["F2"]
    assert second.name == f"F2-{first.name[2:]}"
    assert len(second.samples) == pytest.approx(len(first.samples), rel=0.1)
    assert not np.array_equal(first.samples[: len(second.samples)], second.samples)


def test_the_cast_is_a_function_of_the_seed(library: tuple[Clip, ...]) -> None:
    one, same, other = (cast(seed, library, ONE_OFFS) for seed in (7, 7, 8))
    assert [sound.name for sound in one] == [sound.name for sound in same]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(one, same, strict=True))
    assert [sound.name for sound in one] != [sound.name for sound in other]


def test_a_library_that_is_too_small_is_refused(library: tuple[Clip, ...]) -> None:
    with pytest.raises(ValueError, match="use a larger library"):
        cast(0, library[:20] + library[-6:], ONE_OFFS)
