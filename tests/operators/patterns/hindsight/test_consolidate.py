"""Whoever applies what is told holds what the detector holds; what is settled stays."""

import pickle
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest

from operators.patterns import Bounds, Detector, DetectorConfig
from operators.patterns.memory import Moment
from operators.records import FRAME_S, Occurrence, Pattern
from operators.revision import Revision, settled

Item = Occurrence | Pattern | Revision
SEEDS = range(1, 4)


def flat(found):
    return [item for part in found for item in part]


def revisions(found) -> list[Revision]:
    return [item for item in found if isinstance(item, Revision)]


def frame_of(item: Occurrence | Revision) -> int:
    return round(item.start_s / FRAME_S)


def keys(occurrences) -> set[tuple[int, str]]:
    return {(o.start_ns, o.pattern) for o in occurrences}


def held(detector: Detector) -> set[tuple[int, str]]:
    return set(detector._memory.told.entries)


def survivors(found) -> dict[str, str]:
    """The pattern each merged one is a part of in the end."""
    into = {p.pattern: p.into for p in found if isinstance(p, Pattern) and p.status == "merged"}
    ends = {}
    for name in into:
        end = name
        while end in into:
            end = into[end]
        ends[name] = end
    return ends


@pytest.fixture(scope="module", params=SEEDS)
def ran(request, scene, often, heard):
    """A random scene heard with a look back every 20 s: the detector, and what it told."""
    detector = often(1_800.0)
    found = heard(detector, scene(request.param, 26))
    return detector, found


def test_what_was_told_and_corrected_is_what_the_detector_holds(ran) -> None:
    detector, found = ran
    standing = settled(flat(found))
    assert keys(standing) == held(detector)
    entries = detector._memory.told.entries
    for occurrence in standing:
        entry = entries[occurrence.start_ns, occurrence.pattern]
        assert (entry.onset, entry.score) == (frame_of(occurrence), occurrence.score)


def test_patterns_count_the_occurrences_that_stand(ran) -> None:
    detector, found = ran
    told = flat(found)
    owner = survivors(told)
    standing = Counter(owner.get(o.pattern, o.pattern) for o in settled(told))
    assert standing == {t.pattern: t.count for t in detector.templates}
    last = {p.pattern: p for p in told if isinstance(p, Pattern)}
    for template in detector.templates:
        state = last[template.pattern]
        assert (state.count, state.status) == (template.count, template.status)
        scores = [o.score for o in settled(told) if owner.get(o.pattern, o.pattern) == o.pattern]
        assert all(0 <= score <= 1 for score in scores)


def test_a_revision_follows_what_it_adds_and_takes_back_only_what_stands(ran) -> None:
    standing: set[str] = set()
    told = flat(ran[1])
    for before, item, after in zip([None, *told], told, [*told[1:], None], strict=False):
        if isinstance(item, Occurrence):
            standing.add(item.key)
        elif isinstance(item, Revision):
            assert item.reason == "hindsight"
            again = isinstance(after, Occurrence) and after.key == item.gone
            if item.pattern:
                own = after if again else before
                assert isinstance(own, Occurrence)
                assert own.pattern == item.pattern
                assert own.backfilled
            if item.kind == "added":
                assert isinstance(before, Occurrence)
                assert item.start_ns == before.start_ns
            else:
                assert item.gone in standing
                standing.remove(item.gone)


def test_within_one_round_nothing_is_told_and_taken_back(ran) -> None:
    for part in ran[1]:
        fresh = {item.key for item in part if isinstance(item, Occurrence)}
        assert len(fresh) == sum(isinstance(item, Occurrence) for item in part)
        passed: set[str] = set()
        for item in part:
            if isinstance(item, Occurrence):
                passed.add(item.key)
            elif isinstance(item, Revision):
                assert item.gone not in passed


def test_a_second_look_right_after_the_first_changes_next_to_nothing(ran) -> None:
    """A template may be rebuilt once more from the corrected occurrences: at most two moves."""
    detector, found = ran
    again = Detector.restore(pickle.loads(pickle.dumps(detector.snapshot())), detector.config)  # noqa: S301
    more = again.consolidate(Moment("s", again._archived))
    assert len(revisions(more)) <= 2
    assert keys(settled([*flat(found), *more])) == held(again)


def test_only_what_lies_within_the_horizon_is_corrected(scene, often, heard) -> None:
    corrected = 0
    for seed in (1, 2):
        detector = often(45.0)
        found = heard(detector, scene(seed, 26))
        for part in found:
            some = revisions(part)
            corrected += len(some)
            assert all(r.emitted_s - r.start_s <= 45.0 + 20.0 for r in some)
        standing = settled(flat(found))
        inside = held(detector)
        horizon = min((entry.onset for entry in detector._memory.told.entries.values()), default=0)
        assert keys(o for o in standing if frame_of(o) >= horizon) == inside
        assert len(inside) < len(standing)
    assert corrected


@pytest.mark.parametrize("looks", [400, 4_000])
def test_however_little_is_looked_at_again_what_stands_is_held(scene, heard, looks: int) -> None:
    config = DetectorConfig(hindsight_s=20.0, bounds=Bounds(looks=looks))
    detector = Detector("s", config)
    found = heard(detector, scene(1, 26))
    held_from = detector._memory.told.settled
    whole = Detector("s", replace(config, bounds=Bounds()))
    heard(whole, scene(1, 26))
    assert whole._archived == detector._archived
    assert held_from > whole._memory.told.settled
    standing = settled(flat(found))
    assert keys(o for o in standing if frame_of(o) >= held_from) == held(detector)
    owner = survivors(flat(found))
    for template in detector.templates:
        names = {template.pattern, *(n for n, into in owner.items() if into == template.pattern)}
        own = sorted(frame_of(o) for o in standing if o.pattern in names)
        assert min(np.diff(own), default=9) > 8


def test_a_phrase_of_two_words_is_one_pattern_and_a_beat_is_not(world, often, heard) -> None:
    """Each word lies in a region of its own: activity ends with the pause."""
    one, two, knock = world.sound(6, 20), world.sound(7, 24), world.sound(8, 14)
    regions, phrases, knocks = [], [], []
    for n in range(7):
        at = 400 + 420 * n + 11 * n
        phrases.append(at)
        knocks += [at + 200 + 34 * k for k in range(4)]
        regions += [world.alone(at, one, 28 + n % 3, seed=n), world.alone(at + 40, two, 27, seed=n)]
        regions += [world.alone(k, knock, 30, seed=k) for k in knocks[-4:]]
    detector = often(1_800.0)
    standing = settled(flat(heard(detector, regions)))
    told = {
        name: sorted(o.start_s for o in standing if o.pattern == name)
        for name in {o.pattern for o in standing}
    }
    frames = sorted([round(s / FRAME_S) for s in starts] for starts in told.values())
    assert frames == [pytest.approx(phrases, abs=2), pytest.approx(knocks, abs=2)]
    lasting = {len(told[o.pattern]): o.end_s - o.start_s for o in standing}
    assert lasting[7] == pytest.approx(64 * FRAME_S, abs=6 * FRAME_S)
    assert lasting[28] == pytest.approx(14 * FRAME_S, abs=6 * FRAME_S)


@pytest.fixture(scope="module")
def spoken(world) -> list:
    """A phrase of two words with a pause, thirty times, each word in a region of its own."""
    one, two = world.sound(6, 20), world.sound(7, 24)
    ats = [400 + 420 * n + 11 * (n % 7) for n in range(30)]
    return [
        region
        for n, at in enumerate(ats)
        for region in (
            world.alone(at, one, 28 + n % 3, seed=n),
            world.alone(at + 40, two, 27, seed=n),
        )
    ]


def test_a_phrase_is_told_on_its_first_word_and_the_second_is_nothing_new(
    spoken, often, heard
) -> None:
    told = heard(often(1_800.0), spoken)
    for first, second in zip(told[20:60:2], told[21:60:2], strict=True):
        (occurrence,) = (item for item in first if isinstance(item, Occurrence))
        assert not occurrence.backfilled
        assert occurrence.end_s - occurrence.start_s == pytest.approx(64 * FRAME_S, abs=0.15)
        assert second == []
    late = flat(told[20:])
    assert not revisions(late)
    assert {item.status for item in late if isinstance(item, Pattern)} == {"confirmed"}


def test_a_restart_between_the_words_changes_nothing(spoken, often) -> None:
    whole, parts = often(1_800.0), often(1_800.0)
    for region in spoken[:40]:
        told = whole.hear(region)
        parts = Detector.restore(pickle.loads(pickle.dumps(parts.snapshot())), parts.config)  # noqa: S301
        assert parts.hear(region) == told


@pytest.mark.parametrize("seed", [0, 2])
def test_what_was_settled_is_not_told_again(world, seed: int) -> None:
    """Also where the horizon falls into the middle of a sound that was cut by force."""
    rng = np.random.default_rng(seed)
    levels = world.sound(4, 40)
    rows = np.cumsum(rng.integers(50, 90, 24))
    whole = world.region(300, [(int(row), levels, 30.0) for row in rows], int(rows[-1]) + 80)
    detector = Detector("s", DetectorConfig(hindsight_s=0.0, horizon_s=9.0))
    found = []
    for first in range(0, len(whole.patch_db), 60):
        start, rest = 300 + first, whole.patch_db[first : first + 60]
        onsets = tuple(o for o in whole.onsets if start <= o < start + len(rest))
        last = first + 60 >= len(whole.patch_db)
        found += detector.hear(
            replace(whole, start_frame=start, patch_db=rest, onsets=onsets, cut=not last)
        )
        if first % 180 == 0:
            horizon = detector._archived - round(9.0 / FRAME_S)
            more = detector.consolidate(Moment("s", start + 60))
            assert all(frame_of(item) >= horizon for item in more if isinstance(item, Revision))
            found += more
    found += detector.consolidate(Moment("s", 3000))
    for template in detector.templates:
        own = sorted(frame_of(o) for o in settled(found) if o.pattern == template.pattern)
        assert min(np.diff(own)) > 8
    assert Counter(o.pattern for o in settled(found)).most_common(1)[0][1] >= 22


def _four_times(world) -> tuple[Detector, list[object], Occurrence]:
    """A detector that heard one sound four times, what it told, and the one at frame 900."""
    levels = world.sound(3)
    detector = Detector("s")
    found = [i for n in range(4) for i in detector.hear(world.alone(500 + 400 * n, levels))]
    (one,) = [o for o in settled(found) if frame_of(o) == 900]
    return detector, found, one


def test_a_sound_that_was_missed_is_added_and_says_so(world) -> None:
    """What a look back takes away from what was told comes back at the next one."""
    detector, _, missed = _four_times(world)
    told = detector._memory.told
    told.remove(told.entries[missed.start_ns, missed.pattern])
    detector.templates[0].count -= 1
    found = detector.consolidate(Moment("s", 1800))
    occurrence, revision, pattern = found
    assert isinstance(occurrence, Occurrence)
    assert isinstance(revision, Revision)
    assert (occurrence.key, occurrence.backfilled) == (missed.key, True)
    assert (revision.kind, revision.pattern_from, revision.pattern) == ("added", "", missed.pattern)
    assert (revision.start_s, revision.start_ns) == (missed.start_s, missed.start_ns)
    assert revision.emitted_s == 1800 * FRAME_S
    assert isinstance(pattern, Pattern)
    assert pattern.count == 4


@pytest.mark.parametrize(("moved", "kind"), [(2, None), (5, "moved"), (30, "withdrawn")])
def test_an_onset_that_was_told_wrongly_is_corrected(world, moved: int, kind: str | None) -> None:
    detector, found, one = _four_times(world)
    told = detector._memory.told
    entry = told.entries[one.start_ns, one.pattern]
    told.remove(entry)
    wrong = type(entry)(**{**asdict(entry), "onset": 900 + moved, "start_ns": entry.start_ns + 1})
    told.add(wrong)
    more = detector.consolidate(Moment("s", 1800))
    assert detector.templates[0].count == 4
    kinds = [r.kind for r in revisions(more)]
    if kind is None:
        assert more == []
        return
    gone = next(r for r in revisions(more) if r.pattern_from)
    assert (gone.kind, gone.gone) == (kind, f"s|{entry.start_ns + 1}|{one.pattern}")
    assert kinds == (["moved"] if kind == "moved" else ["added", "withdrawn"])
    assert keys(settled([*found, *more])) - held(detector) == set()


@pytest.mark.parametrize(("longer", "again"), [(-2, False), (-20, True), (40, True)])
def test_an_end_that_was_told_wrongly_is_corrected(world, longer: int, again: bool) -> None:
    """The onset was right, so that the key stays: what was told is taken back, then told again."""
    detector, found, one = _four_times(world)
    told = detector._memory.told
    entry = told.entries[one.start_ns, one.pattern]
    told.add(replace(entry, frames=entry.frames + longer))
    more = detector.consolidate(Moment("s", 1800))
    if not again:
        assert more == []
        return
    revision, occurrence = more
    assert isinstance(revision, Revision)
    assert isinstance(occurrence, Occurrence)
    assert (revision.kind, revision.gone) == ("moved", one.key)
    assert occurrence.key == one.key
    assert occurrence.end_s == pytest.approx(one.end_s, abs=0.2)
    assert keys(settled([*found, *more])) == held(detector)
    assert detector.templates[0].count == 4


def test_a_label_of_a_sound_that_is_gone_is_withdrawn(world) -> None:
    """The template is taken out of the bank: nothing explains what was said in its name."""
    kept, gone = world.sound(3), world.sound(7)
    detector = Detector("s")
    found = []
    for n in range(4):
        found += detector.hear(world.alone(500 + 800 * n, kept))
        found += detector.hear(world.alone(900 + 800 * n, gone))
    first, second = detector.templates
    detector._memory.bank.remove(second)
    more = detector.consolidate(Moment("s", 4000))
    assert [r.kind for r in revisions(more)] == ["withdrawn"] * 4
    assert {r.pattern_from for r in revisions(more)} == {second.pattern}
    assert {o.pattern for o in settled([*found, *more])} == {first.pattern}


def test_nothing_stands_where_no_template_is_left(world) -> None:
    detector = Detector("s")
    levels = world.sound(3)
    found = [i for n in range(3) for i in detector.hear(world.alone(500 + 400 * n, levels))]
    detector._memory.bank.remove(detector.templates[0])
    found += detector.consolidate(Moment("s", 2000))
    assert settled(found) == []
    assert held(detector) == set()


def test_a_pattern_that_lost_its_support_takes_its_occurrence_along(world) -> None:
    """One of two occurrences is not heard again: the other alone is no recurring sound."""
    levels, other = world.sound(3), world.sound(7)
    detector = Detector("s")
    found = []
    for n in range(3):
        found += detector.hear(world.alone(500 + 400 * n, other))
    for n in range(2):
        found += detector.hear(world.alone(2000 + 400 * n, levels))
    spans = detector._memory.archive.spans
    spans[-1].codes[:] = 0
    found += detector.consolidate(Moment("s", 3000))
    assert [t.count for t in detector.templates] == [3]
    assert {o.pattern for o in settled(found)} == {detector.templates[0].pattern}


def test_of_a_bounded_past_no_more_is_said_than_is_remembered(world) -> None:
    """What the archive no longer holds is settled: it cannot be heard again."""
    config = DetectorConfig(bounds=Bounds(archive_frames=200), hindsight_s=0.0)
    detector = Detector("s", config)
    levels = world.sound(3)
    found = [i for n in range(20) for i in detector.hear(world.alone(500 + 400 * n, levels))]
    found += detector.consolidate(Moment("s", 9000))
    assert revisions(found) == []
    assert len(settled(found)) == 20
    assert detector.templates[0].count == 20
